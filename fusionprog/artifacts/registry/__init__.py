"""A registry: compiled programs in a folder or at a URL, as versions that never change and labels that move.

What is there::

    artifacts/<hash>.json                                the file, as it was pushed
    programs/<name>/versions/<number>-<hash>             a version of a program, in the order of pushing
    programs/<name>/labels/<label>/<number>-<hash>       where a label was put, the last one counts

Nothing is ever overwritten or taken away, so what is read meanwhile is whole: an artifact is there before the version
that names it, and a version before a label. Two that push at once may take one number; the hash is in the name, so both
are there.
"""
