"""Puts a reward server together from its config."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from grpc import aio

from reward_server.asking import Asker
from reward_server.audit import Auditor
from reward_server.cache import VerdictCache
from reward_server.forwarding import RouteForwarder
from reward_server.judging import Judge
from reward_server.metrics import ResultCounter, watch
from reward_server.pool import WorkerPool
from reward_server.pools import Pools
from reward_server.processes import Nursery, SpawnFailed
from reward_server.programs.pool import ProgramPool
from reward_server.programs.runner import PROGRAM_ENVIRONMENT, Unsafe, program_jacket
from reward_server.quarantine import Quarantine
from reward_server.reference_limits import references_limits
from reward_server.results import Result, Work
from reward_server.sandbox.jacket import Jacket
from reward_server.sandbox.levels import Level
from reward_server.scorer import Scorer
from reward_server.server_info import Offer, ServerInfo
from reward_server.service import RewardService
from reward_server.stream import StreamSession
from reward_server.verifiers import build_composites, build_verifiers
from reward_server.verifiers.base import Item, Verifier
from reward_server.verifiers.code import CodeVerifier
from reward_server.verifiers.composite import Composite
from trimtab import __version__
from trimtab.config.reward import RewardServerConfig
from trimtab.config.sandbox import SandboxConfig
from trimtab.errors import ConfigError
from trimtab.reward.v1 import reward_pb2_grpc
from trimtab.server.runtime import ServiceSpec

if TYPE_CHECKING:
    from reward_server.http.front import HttpFront

FULL_NAME = "trimtab.reward.v1.RewardService"


class RewardApp:
    """The parts of a reward server and their common life."""

    def __init__(self, config: RewardServerConfig) -> None:
        """Needs a running event loop; nothing is started yet."""
        options = {name: model.model_dump() for name, model in config.verifiers.items()}
        self._config = config
        self._forwarder = RouteForwarder(config.routes)
        verifiers = build_verifiers(options)
        composites = build_composites(options, verifiers)
        self._verifiers: dict[str, Verifier | Composite] = {
            name: composites[name] if name in composites else verifiers[name] for name in options
        }
        preload = {item.worker_module for item in verifiers.values() if item.worker_module}
        nursery = Nursery(
            entry="reward_server.worker",
            settings={"verifiers": options, "preload": sorted(preload)},
            jacket=Jacket(
                memory_bytes=config.worker_memory_bytes,
                siblings=config.workers + config.slow_workers,
                parts=config.sandbox.parts,
                uids=_uids(config.sandbox)[0],
            ),
        )
        workers = WorkerPool(
            nursery,
            workers=config.workers if preload else 0,
            slow_workers=config.slow_workers,
            max_items=config.worker_max_items,
        )
        coders = {name: v for name, v in verifiers.items() if isinstance(v, CodeVerifier)}
        self._pool = Pools(workers, _program_pool(coders, config) if coders else None)
        self._deadlines_s = {name: v.options["total_timeout_s"] for name, v in coders.items()}
        self._cache = VerdictCache(**config.cache.model_dump())
        self._quarantine = Quarantine(**config.quarantine.model_dump())
        self._judge = self._new_judge(verifiers)
        self._scorer = Scorer(
            self._judge,
            self._pool,
            max_items=config.max_items,
            max_waiting_items=config.max_waiting_items,
            on_results=self._on_results,
        )
        self._counter = ResultCounter([*options, *config.routes], self._judge.default)
        self._auditor = self._new_auditor()
        self._watch()
        self._servicer = RewardService(
            self._scorer,
            lambda: StreamSession(self._scorer, self._judge),
            self.info,
            deadline_cap_s=config.deadline_cap_s,
        )
        self._front = self._http_front()

    def _new_judge(self, verifiers: Mapping[str, Verifier]) -> Judge:
        config = self._config
        return Judge(
            self._verifiers,
            Asker(self._pool, self._cache, self._quarantine),
            item_deadline_s=config.item_deadline_s,
            deadlines_s=self._deadlines_s,
            max_response_bytes=config.max_response_bytes,
            references_limits=references_limits(
                verifiers,
                max_count=config.max_references,
                max_bytes=config.max_references_bytes,
            ),
            routes=config.routes,
            forwarder=self._forwarder,
        )

    def spec(self) -> ServiceSpec:
        """What the runtime needs to serve it."""
        return ServiceSpec(
            name="reward",
            full_name=FULL_NAME,
            add=self._add,
            start=self._start,
            drain=self._drain,
            close=self._close,
            health_changed=self._front.health_changed if self._front else None,
            failed=self._pool.broken,
            health=self._sandbox_health,
        )

    def _sandbox_health(self) -> dict[str, bool]:
        """Whether each level is reached, by a name that health checks can ask for."""
        reached = self._pool.fit.level
        levels = (level for level in Level if level > Level.NONE)
        return {f"{FULL_NAME}/sandbox/{level.name}": reached >= level for level in levels}

    def info(self) -> ServerInfo:
        """What this server offers and how busy it is."""
        config = self._config
        return ServerInfo(
            server=f"trimtab {__version__}",
            offers=self._offers(),
            sandbox_level=self._pool.fit.level,
            sandbox_lacks=self._pool.fit.lacks,
            max_items=config.max_items,
            max_response_bytes=config.max_response_bytes,
            max_message_bytes=config.max_message_bytes,
            worker_count=self._pool.worker_count,
            running_count=self._pool.running_count,
            waiting_count=self._pool.waiting_count,
            max_waiting_count=config.max_waiting_items,
        )

    def _add(self, server: aio.Server) -> None:
        reward_pb2_grpc.add_RewardServiceServicer_to_server(self._servicer, server)

    def _http_front(self) -> HttpFront | None:
        http = self._config.http
        if http is None:
            return None
        try:
            from reward_server.http.front import HttpFront
        except ImportError as error:
            raise ConfigError(
                f"needs {error.name}: pip install 'trimtab[reward,http]'", field="http"
            ) from error
        return HttpFront(self._config, http, self._servicer.score_within, self._servicer.info)

    async def _start(self) -> None:
        if self._front:
            self._front.start()
        try:
            await self._pool.start()
        except SpawnFailed as error:
            raise ConfigError(str(error), field="workers") from error
        except Unsafe as error:
            raise ConfigError(str(error), field="sandbox.code_min_level") from error
        fit, wanted = self._pool.fit, Level[self._config.sandbox.min_level]
        # Where nothing runs outside the server there is nothing to lock in.
        if self._pool.worker_count and fit.level < wanted:
            raise ConfigError(
                f"{wanted.name} is asked for and this system gives {fit.level.name}: "
                f"{'; '.join(fit.lacks)}",
                field="sandbox.min_level",
            )

    async def _close(self) -> None:
        if self._front:
            await self._front.close()
        if self._auditor is not None:
            self._auditor.close()
        await self._forwarder.close()
        await self._pool.close()

    async def _drain(self) -> None:
        self._scorer.draining.set()
        if self._front:
            self._front.drain()

    def _on_results(self, items: Sequence[Item], results: Sequence[Result]) -> None:
        self._counter.count(items, results)
        if self._auditor is not None:
            self._auditor.look_at(items, results)

    def _new_auditor(self) -> Auditor | None:
        audit = self._config.audit
        if audit is None:
            return None

        def begin(item: Item) -> Result | Work:
            route = self._judge.route_of(item)
            if route is None:
                return self._judge.begin(item)
            [work] = self._judge.forward(route, [item], self._config.routes[route].timeout_s)
            return work

        return Auditor(
            begin,
            of=audit.of or self._judge.default,
            default=self._judge.default,
            auditor=audit.verifier,
            share=audit.share,
            is_idle=lambda: self._pool.waiting_count == 0,
        )

    def _watch(self) -> None:
        watch(
            running=lambda: self._pool.running_count,
            waiting=lambda: self._pool.waiting_count,
            quarantined=lambda: len(self._quarantine),
            cache_entries=lambda: len(self._cache),
            cache_bytes=lambda: self._cache.size_bytes,
        )

    def _offers(self) -> list[Offer]:
        own = [
            Offer(
                name=name,
                type=verifier.type,
                version=verifier.version,
                item_timeout_s=self._deadlines_s.get(name, self._config.item_deadline_s),
                options=verifier.options,
            )
            for name, verifier in self._verifiers.items()
        ]
        routes = self._config.routes
        routed = [
            Offer(name=name, type="route", version="", item_timeout_s=route.timeout_s, options={})
            for name, route in routes.items()
        ]
        return own + routed


def _is_installed(library: str) -> bool:
    try:
        return importlib.util.find_spec(library) is not None
    except (ImportError, ValueError):  # not even a name
        return False


def _program_pool(coders: Mapping[str, CodeVerifier], config: RewardServerConfig) -> ProgramPool:
    for library in config.program_libraries:
        if not _is_installed(library):
            raise ConfigError(f"{library} is not installed: drop it", field="program_libraries")
    nursery = Nursery(
        entry="reward_server.programs.child",
        settings={"libraries": config.program_libraries},
        jacket=replace(
            program_jacket([coder.options["memory_bytes"] for coder in coders.values()]),
            siblings=config.program_slots,
            parts=config.sandbox.parts,
            uids=_uids(config.sandbox)[1],
        ),
        environment=PROGRAM_ENVIRONMENT,
    )
    min_level = Level[config.sandbox.code_min_level]
    return ProgramPool(nursery, coders, slots=config.program_slots, min_level=min_level)


def _uids(config: SandboxConfig) -> tuple[tuple[int, int], tuple[int, int]]:
    """First user id and count for workers, and for programs."""
    half = config.uid_count // 2
    return (config.first_uid, half), (config.first_uid + half, config.uid_count - half)


def build(config: RewardServerConfig) -> ServiceSpec:
    """The reward service of the config; runs inside the event loop."""
    return RewardApp(config).spec()
