"""The engine: measures a plan on a real model, knowing neither test runner nor verdicts."""
