"""Starts the services on this machine and keeps them running.

plan = await plan_services(config, wanted=("rollout", "reward"))
async with LocalServices(plan.launches) as services:
    ...  # plan.rollout and plan.reward answer now; `services` has what was started
"""

from trimtab.supervisor.errors import ServiceFailed
from trimtab.supervisor.local import LocalServices
from trimtab.supervisor.plan import Plan, plan_services, serve_config
from trimtab.supervisor.probe import Presence, probe
from trimtab.supervisor.services import PROGRAMS, SERVICE_NAMES, ServiceName, check_installed
from trimtab.supervisor.supervised import Launch

__all__ = [
    "PROGRAMS",
    "SERVICE_NAMES",
    "Launch",
    "LocalServices",
    "Plan",
    "Presence",
    "ServiceFailed",
    "ServiceName",
    "check_installed",
    "plan_services",
    "probe",
    "serve_config",
]
