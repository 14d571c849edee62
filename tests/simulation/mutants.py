"""Planted bugs: each changes one thing in Maker for as long as a MonkeyPatch lives, and breaks a promise.

A simulation that does not notice them proves nothing.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import groupby
from typing import Any

from pytest import MonkeyPatch

from maker import chunks, command, history, journal, records
from maker.ballot import Ballot
from maker.budget import Allowance
from maker.chain import Chain, Commit
from maker.cluster import coordinator, lane_worker
from maker.disk import Disk
from maker.engine import Drive, Engine
from maker.errors import JournalDamagedError, StorageError
from maker.hedging import Race
from maker.joins import Joins
from maker.journal import Lane
from maker.ladder import Ladder
from maker.ledger import Ledger
from maker.nouns import Sample
from maker.recovery import Recovery
from maker.run_directory import RunDirectory
from maker.schedule import Schedule
from maker.voters import AheadByK
from tests.simulation import endpoint
from tests.simulation.disk import SimDisk
from tests.simulation.scenario import simulate

Mutant = Callable[[MonkeyPatch], None]


# -- the disk and the order of writing ------------------------------------------------------------


def records_are_never_synced(patch: MonkeyPatch) -> None:
    patch.setattr(Lane, "_make_durable", lambda lane: None)


def a_small_file_is_renamed_before_it_is_synced(patch: MonkeyPatch) -> None:
    def put(disk: Disk, path: Any, data: bytes, exclusively: bool = False) -> None:
        temporary = path.with_name(f".{path.name}")
        file = disk.create(temporary)
        disk.write(file, data)
        disk.rename(temporary, path)
        disk.sync_folder(path.parent)

    patch.setattr(Disk, "put", put)


def names_in_a_lane_are_not_made_durable(patch: MonkeyPatch) -> None:
    patch.setattr(SimDisk, "sync_folder", lambda disk, folder: None)


def a_decision_is_not_synced_though_asked_for(patch: MonkeyPatch) -> None:
    claim = Lane.claim.__func__  # type: ignore[attr-defined]

    def careless(cls: type, *args: Any) -> Lane:
        folder, run, number, _, disk = args
        return claim(cls, folder, run, number, "group", disk)

    patch.setattr(Lane, "claim", classmethod(careless))


def an_end_is_told_before_it_is_synced(patch: MonkeyPatch) -> None:
    report = lane_worker.LaneWorker._report

    def hasty(worker: Any) -> Any:
        sync, Lane.sync = Lane.sync, lambda lane: None
        try:
            return report(worker)
        finally:
            Lane.sync = sync

    patch.setattr(lane_worker.LaneWorker, "_report", hasty)


def what_could_not_be_written_is_followed_by_the_next_record(patch: MonkeyPatch) -> None:
    append = Lane.append

    def stubborn(lane: Lane, *lines: Any) -> None:
        try:
            append(lane, *lines)
        except StorageError:
            lane._refused = None

    patch.setattr(Lane, "append", stubborn)


def a_failed_sync_is_taken_for_a_success(patch: MonkeyPatch) -> None:
    sync = SimDisk.sync

    def hopeful(disk: SimDisk, file: int) -> None:
        try:
            sync(disk, file)
        except OSError as error:
            if error.errno != errno.EIO:
                raise

    patch.setattr(SimDisk, "sync", hopeful)


def a_sample_is_written_after_it_is_read(patch: MonkeyPatch) -> None:
    def take_in(drive: Drive) -> Any:
        by_draw = groupby(drive.drawing.inbox, lambda each: id(each[0]))
        ended = [drive._receive(*each) for _, each in by_draw]
        drive._written()
        return next(filter(None, ended), None)

    patch.setattr(Drive, "_take_in", take_in)


def the_next_step_is_asked_before_the_decision_is_written(patch: MonkeyPatch) -> None:
    write = Engine.write

    def lazy(engine: Engine, *lines: Any) -> None:
        if lines[0]["kind"] == "decision":
            asyncio.get_running_loop().call_later(0.01, write, engine, *lines)
        else:
            write(engine, *lines)

    patch.setattr(Engine, "write", lazy)


def a_decision_is_not_written(patch: MonkeyPatch) -> None:
    do = Drive.do

    def forgetful(drive: Drive, wishes: Any) -> Any:
        return do(drive, [w for w in wishes if not (isinstance(w, Commit) and w.decision.index == 1)])

    patch.setattr(Drive, "do", forgetful)


# -- guesses ---------------------------------------------------------------------------------------


def samples_of_steps_behind_the_head_are_forgotten_on_resume(patch: MonkeyPatch) -> None:
    resume = Chain.resume

    def near(chain: Chain, found: Any) -> Any:
        return resume(chain, {index: said for index, said in found.items() if index == chain.step.index})

    patch.setattr(Chain, "resume", near)


def a_sample_votes_whatever_state_it_was_drawn_for(patch: MonkeyPatch) -> None:
    def careless(chain: Chain, place: Any) -> Any:
        return next(iter(chain._votings.get(place[0], {}).values()), None)

    patch.setattr(Chain, "_at", careless)


def what_was_built_on_an_overtaken_answer_stays(patch: MonkeyPatch) -> None:
    patch.setattr(Chain, "_cut", lambda chain, voting: None)


# -- owners ----------------------------------------------------------------------------------------


def a_lane_may_be_claimed_twice(patch: MonkeyPatch) -> None:
    claim = Lane._claim.__func__  # type: ignore[attr-defined]

    def shared(cls: type, folder: Any, number: int, disk: Any) -> Any:
        claim(cls, folder, number, disk)
        return (number, 1)

    patch.setattr(Lane, "_claim", classmethod(shared))


def an_older_command_may_take_a_lane_back(patch: MonkeyPatch) -> None:
    claim = Lane._claim.__func__  # type: ignore[attr-defined]

    def latest(cls: type, folder: Any, number: int, disk: Any) -> Any:
        claims = folder / "claims"
        newest = journal._newest(claims)[0] if claims.exists() else 0
        return claim(cls, folder, max(number, newest), disk)

    patch.setattr(Lane, "_claim", classmethod(latest))
    patch.setattr(RunDirectory, "check_owner", lambda run, number: None)


def a_worker_does_not_look_who_owns_the_run(patch: MonkeyPatch) -> None:
    patch.setattr(RunDirectory, "check_owner", lambda run, number: None)


def an_overtaken_owner_goes_on(patch: MonkeyPatch) -> None:
    patch.setattr(Lane, "sync", lambda lane: lane._make_durable())


def a_taker_states_what_an_outage_may_take_back(patch: MonkeyPatch) -> None:
    patch.setattr(journal, "_sealed", lambda folder, mine, disk: (history.parts(folder), 0))


def a_torn_tail_is_taken_for_damage(patch: MonkeyPatch) -> None:
    lines = chunks.lines

    def strict(chunk: Any, end: int | None = None, **how: Any) -> Any:
        whole = 0
        for offset, line in lines(chunk, end, **how):
            whole = offset + len(line)
            yield offset, line
        if end is None and not chunks.is_sealed(chunk) and chunk.stat().st_size > whole:
            raise JournalDamagedError(f"{chunk}: torn")

    patch.setattr(chunks, "lines", strict)


# -- going on --------------------------------------------------------------------------------------


def votes_of_the_open_step_are_drawn_again(patch: MonkeyPatch) -> None:
    fold = Recovery.fold

    def amnesiac(recovery: Recovery, record: Any) -> None:
        if record["kind"] != "sample":
            fold(recovery, record)

    patch.setattr(Recovery, "fold", amnesiac)


def the_open_steps_samples_are_missing_from_the_header(patch: MonkeyPatch) -> None:
    head = records.head
    patch.setattr(records, "head", lambda step, samples, *more: head(step, [], *more))


def flagged_samples_are_forgotten_on_resume(patch: MonkeyPatch) -> None:
    fold = Recovery.fold

    def picky(recovery: Recovery, record: Any) -> None:
        if record["kind"] != "sample" or not record["text"].startswith("?"):
            fold(recovery, record)

    patch.setattr(Recovery, "fold", picky)


def totals_begin_anew_with_each_owner(patch: MonkeyPatch) -> None:
    load = Recovery.load

    def fresh(recovery: Recovery, header: Any) -> None:
        load(recovery, header)
        recovery.ledger = Ledger()

    patch.setattr(Recovery, "load", fresh)


def ends_in_older_chunks_are_forgotten(patch: MonkeyPatch) -> None:
    patch.setattr(Lane, "finished", lambda lane: iter(()))


def a_page_is_turned_in_the_middle_of_an_event(patch: MonkeyPatch) -> None:
    write = Engine.write

    def eager(engine: Engine, *lines: Any) -> None:
        write(engine, *lines)
        if lines[0]["kind"] == "sample":
            engine.turn_if_full()

    patch.setattr(Engine, "write", eager)


def lanes_that_exist_are_not_read(patch: MonkeyPatch) -> None:
    patch.setattr(RunDirectory, "lanes", lambda run: [])


# -- placing ---------------------------------------------------------------------------------------


def a_lost_workers_new_segments_are_forgotten(patch: MonkeyPatch) -> None:
    lost = Schedule.lost

    def careless(schedule: Schedule, lane: str) -> None:
        schedule._assigned[lane] = {}
        lost(schedule, lane)

    patch.setattr(Schedule, "lost", careless)


def a_lost_workers_open_segments_are_begun_anew(patch: MonkeyPatch) -> None:
    lose = coordinator.Coordinator._lose

    def eager(self: Any, lane: str, error: Any) -> None:
        going = self._going.get(lane, ())
        self._schedule.offer([each for each in self.task.segments() if each.id in going])
        lose(self, lane, error)

    patch.setattr(coordinator.Coordinator, "_lose", eager)


def an_exchange_that_comes_twice_is_done_twice(patch: MonkeyPatch) -> None:
    async def exchange(worker: Any, number: int, segments: Any, wait: float, *told: Any) -> Any:
        return await worker._exchange(segments, wait, *told)

    patch.setattr(lane_worker.LaneWorker, "exchange", exchange)


def an_overtaken_command_writes_its_result(patch: MonkeyPatch) -> None:
    def conclude(self: Any, result: Any, check_owner: Any) -> Any:
        self.directory.write_result(result.to_json())
        return result

    patch.setattr(command.Command, "_conclude", conclude)


# -- forks and joins -------------------------------------------------------------------------------


def a_fork_is_told_before_it_is_durable(patch: MonkeyPatch) -> None:
    report = lane_worker.LaneWorker._report

    def hasty(worker: Any) -> Any:
        waits = tuple(worker._waits)
        worker._waits.clear()
        return replace(report(worker), waits=waits)

    patch.setattr(lane_worker.LaneWorker, "_report", hasty)


def a_segment_that_waits_is_begun_anew(patch: MonkeyPatch) -> None:
    note = coordinator.Coordinator._note

    def forgetful(self: Any, report: Any) -> None:
        note(self, report)
        self._known -= {wait.segment for wait in report.waits}

    patch.setattr(coordinator.Coordinator, "_note", forgetful)


def a_join_is_not_written(patch: MonkeyPatch) -> None:
    write = Engine.write

    def forgetful(engine: Engine, *lines: Any) -> None:
        if lines[0].get("event") != "join":
            write(engine, *lines)

    patch.setattr(Engine, "write", forgetful)


def children_are_joined_in_another_order(patch: MonkeyPatch) -> None:
    ready = Joins.ready

    def turned(joins: Joins) -> Any:
        return [(lane, replace(join, finals=join.finals[::-1])) for lane, join in ready(joins)]

    patch.setattr(Joins, "ready", turned)


def a_lane_that_was_let_go_is_not_read_for_a_join(patch: MonkeyPatch) -> None:
    join = Schedule.join
    patch.setattr(
        Schedule, "join", lambda schedule, lane, name: lane in schedule._open and join(schedule, lane, name)
    )


# -- the budget ------------------------------------------------------------------------------------


def lanes_that_are_not_read_yet_are_not_counted(patch: MonkeyPatch) -> None:
    patch.setattr(command.summary, "lane_totals", lambda run: {})


def draws_under_way_are_not_counted(patch: MonkeyPatch) -> None:
    patch.setattr(Allowance, "_hold", lambda allowance, place, bound: None)


def a_limit_is_raised_twice_when_it_is_told_twice(patch: MonkeyPatch) -> None:
    limit_to = Allowance.limit_to
    raised = lambda allowance, limit: limit_to(allowance, allowance._limit + limit)  # noqa: E731
    patch.setattr(Allowance, "limit_to", raised)


# -- voting ----------------------------------------------------------------------------------------


def a_draw_that_was_sent_twice_counts_once(patch: MonkeyPatch) -> None:
    patch.setattr(Race, "_settle", lambda race: race._drop(race._again))


def a_copy_is_sent_without_leave_of_the_budget(patch: MonkeyPatch) -> None:
    patch.setattr(Allowance, "take", lambda allowance, *draws: True)


def both_replies_of_a_seat_are_samples(patch: MonkeyPatch) -> None:
    def take(race: Race, sample: Sample) -> None:
        race.missing.pop(sample.seat.draw, None)
        race._put(sample)

    patch.setattr(Race, "_take", take)


def a_copy_is_sent_while_nobody_needs_it(patch: MonkeyPatch) -> None:
    patch.setattr(Chain, "needs", lambda chain, place: True)


def one_vote_more_than_the_deficit_is_drawn(patch: MonkeyPatch) -> None:
    want = Ballot.want
    patch.setattr(Ballot, "want", lambda ballot, votes, end: want(ballot, votes + 1, end))


def a_rung_goes_by_draws_of_its_own_round(patch: MonkeyPatch) -> None:
    bounds = Ladder.bounds
    patch.setattr(Ladder, "bounds", lambda ladder, draw: (draw, bounds(ladder, draw)[1]))


def a_lead_of_one_less_decides(patch: MonkeyPatch) -> None:
    init = AheadByK.__init__

    def lax(voter: AheadByK, k: int) -> None:
        init(voter, max(1, k - 1))

    patch.setattr(AheadByK, "__init__", lax)


def a_flagged_sample_votes(patch: MonkeyPatch) -> None:
    patch.setattr(Ballot, "flag", lambda ballot, draw, reason: ballot.vote(draw, "9", 9))


def a_flag_does_not_use_up_its_draw(patch: MonkeyPatch) -> None:
    def forgiving(ballot: Ballot, draw: int, reason: str) -> None:
        ballot._flags.setdefault(reason, []).append(draw)

    patch.setattr(Ballot, "flag", forgiving)


def a_fault_of_the_transport_is_a_vote(patch: MonkeyPatch) -> None:
    draw = endpoint.Endpoint.draw

    async def faulty(model: Any, request: Any) -> Any:
        counted = []
        object.__setattr__(request, "on_fault", counted.append)
        async for sample in draw(model, request):
            if counted:
                sample = Sample(sample.seat, "0 500", "stop", 0, 0, 0.0)
                counted.clear()
            yield sample

    patch.setattr(endpoint.Endpoint, "draw", faulty)


MUTANTS: tuple[Mutant, ...] = tuple(
    value
    for name, value in list(globals().items())
    if getattr(value, "__module__", "") == __name__ and not name.startswith("_")
)


def caught(mutant: Mutant, seeds: Iterable[int]) -> tuple[int | None, str]:
    """The first seed in which a planted bug shows, and how; (None, ...) if it does in none."""
    for seed in seeds:
        with MonkeyPatch.context() as patch:
            mutant(patch)
            try:
                wrong = simulate(seed).wrong
            except Exception as error:
                wrong = [f"{type(error).__name__}: {error}"]
        if wrong:
            return seed, wrong[0]
    return None, "not found"
