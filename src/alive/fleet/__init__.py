"""What a run takes on GPUs that are not here: memory of each, hours and cost."""

from alive.fleet.gpus import GPUS, Fleet, Gpu, parse_fleet
from alive.fleet.planning import FleetPlan, fleet_advice, make_fleet_plan
from alive.fleet.rates import Rates

__all__ = [
    "GPUS",
    "Fleet",
    "FleetPlan",
    "Gpu",
    "Rates",
    "fleet_advice",
    "make_fleet_plan",
    "parse_fleet",
]
