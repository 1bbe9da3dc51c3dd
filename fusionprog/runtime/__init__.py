"""Running a program: rendering prompts, executing the graph, and the compiled program that users call."""
