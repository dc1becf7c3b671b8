"""Tiny priors of every kind."""

from prior_fixtures import *  # noqa: F403
