"""The catalogue of optimizers: what can compile a program."""

if __name__ != "fusionprog.optimizers":
    raise ImportError(
        "import fusionprog.optimizers; a bare 'import optimizers' would make a second copy of every class"
    )
