"""Pure statistics: paired by probe, clustered, seeded, with intervals before verdicts."""
