"""The study: ask, measure, tell, recalibrate, verify."""
