"""Figures on real servers, as ratios within one run."""
