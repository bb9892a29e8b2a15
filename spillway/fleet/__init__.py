"""The fleet file: one YAML file, read as typed values or refused with every place that is wrong."""

from spillway.fleet.problem import FleetError, Problem
from spillway.fleet.reading import load, read
from spillway.fleet.values import Deployment, FleetFile, Model
from spillway.fleet.writing import write

__all__ = ["Deployment", "FleetError", "FleetFile", "Model", "Problem", "load", "read", "write"]
