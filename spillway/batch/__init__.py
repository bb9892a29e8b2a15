"""Many requests of OpenAI's API from a file, their answers into another: `spillway batch`."""
