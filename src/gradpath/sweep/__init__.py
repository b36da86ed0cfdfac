"""Many runs: a folder for all of them, a process for each, nothing lost and nothing run twice."""
