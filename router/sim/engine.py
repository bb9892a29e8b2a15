"""A replica's engine in virtual time, by jumps from one change of its batch to the next.

The rules are those of a continuous-batching engine with chunked prefill. A step has a budget of
tokens. Running requests come first, in the order in which they were admitted: one token for each
that decodes, the next chunk for the one that may still prefill. Waiting requests follow by priority
and age, none skipped, while budget, sequences and blocks last; leading blocks that are cached are
not computed. Where blocks run out, the request that would be served last is preempted: it drops
its blocks and comes back by recomputing. Tokens leave at the end of their step.

While nothing but decoding goes on, step times grow linearly (each sequence gains one token of
context a step), so any number of steps is one sum in closed form, and the cost of a request does
not grow with its length. Rejected: stepping token by token, which is the same to the picosecond
(tests/router/sim has it as the reference) and a hundred times slower at usual lengths.
"""

import heapq
from collections.abc import Callable

from router.sim.blocks import Blocks
from router.sim.job import Job
from router.sim.profile import EngineModel
from router.sim.run import Run

Notify = Callable[[Job], None]


class Engine:
    """One engine. `on_first_token` and `on_finished` are told of jobs as `advance` passes them.

    Of two things at the same time, call `submit` and `cancel` before `advance`: a step sees what
    arrived up to its beginning.
    """

    def __init__(
        self,
        profile: EngineModel,
        *,
        on_first_token: Notify,
        on_finished: Notify,
        slow_gap_ps: int = 0,
    ) -> None:
        self.profile = profile
        self.blocks = Blocks(profile.kv_blocks)
        self.running: list[Job] = []
        self._on_first_token = on_first_token
        self._on_finished = on_finished
        self._slow_gap_ps = slow_gap_ps
        self._waiting: list[tuple[int, int, Job]] = []  # heap by Job.key
        self.waiting = 0  # of them, jobs that are not cancelled
        self._waiting_tokens = 0
        self._submitted = 0
        self._steps = 0  # steps done
        self._slow_steps = 0  # of them, longer than slow_gap_ps
        self.gaps: dict[int, int] | None = None  # how many of each length, in picoseconds
        self._decoders = 0
        self._context = 0  # tokens of all decoding jobs
        self._phases = [0] * profile.block_tokens  # decoders by the step at which they fill a block
        self._cancelled = False  # a running job was cancelled in the run under way
        self._finishing: list[tuple[int, int, Job]] = []  # heap by the step that ends a decoder
        self._run: Run | None = None

    @property
    def next_ps(self) -> int | None:
        """When `advance` has something to do; None while idle."""
        return None if self._run is None else self._run.end_ps

    @property
    def queued_prefill_tokens(self) -> int:
        """Tokens still to be prefilled by jobs that wait or are being prefilled."""
        tokens = self._waiting_tokens
        for job in reversed(self.running):
            if job.decoding:  # jobs begin to decode in the order in which they were admitted
                break
            tokens += job.tokens - job.computed
        return tokens

    def submit(self, job: Job, at_ps: int) -> None:
        """Queue a job at `at_ps`. ValueError for one that can never fit."""
        if job.prompt_tokens < 1 or job.output_tokens < 1:
            raise ValueError("a job has at least one token of prompt and one of output")
        if job.prompt_tokens + job.output_tokens > self.profile.kv_tokens:
            raise ValueError(
                f"{job.prompt_tokens} + {job.output_tokens} tokens do not fit into the "
                f"{self.profile.kv_tokens} of the cache"
            )
        job.sequence = self._submitted
        self._submitted += 1
        self._queue(job)
        if self._run is None:
            # An empty run that is over at once: jobs of the same instant share the first step.
            self._run = Run(at_ps, at_ps, 0, 0, 0)
        elif self._waiting[0][2] is job and len(self.running) < self.profile.seqs_max:
            # Only a new head of the queue can be admitted before the run would end anyway.
            self._cut(at_ps)

    def cancel(self, job: Job, at_ps: int) -> None:
        """Drop a job; a running one leaves at the end of the step under way. Not notified."""
        if not job.cancelled and job.waiting:
            self._count_waiting(job, -1)
        job.cancelled = self._cancelled = True
        if self._run is not None:
            self._cut(at_ps)

    def advance(self, to_ps: int) -> None:
        """Do all steps that end by `to_ps`."""
        while self._run is not None and self._run.end_ps <= to_ps:
            run = self._run
            self._complete(run)
            self._plan(run.end_ps)

    # -- runs ------------------------------------------------------------------------------------

    def _plan(self, now_ps: int) -> None:
        """Begin the next run at `now_ps`, a boundary between steps."""
        if self._cancelled:
            self._drop_cancelled()
        head = self._head()
        if head is None and not self.running:
            self._run = None
            return
        if self._decoders == len(self.running) and not self._admissible(head):
            steps = min(self._finishing[0][0] - self._steps, self._steps_max())
            if steps:
                self._run = self.profile.decode_run(now_ps, steps, self._decoders, self._context)
                return
        self._run = self._mixed_run(now_ps)

    def _cut(self, at_ps: int) -> None:
        """End the run with the step that is under way at `at_ps`."""
        run = self._run
        if run is None or run.steps == 1 or at_ps >= run.end_ps:
            return
        run.steps = run.steps_until(max(1, at_ps - run.begun_ps))
        run.end_ps = run.begun_ps + run.duration_ps(run.steps)

    def _complete(self, run: Run) -> None:
        """Account for a run that is over, and notify."""
        if not run.blocks_taken:
            self.blocks.take(self._new_blocks(run.steps))
        self._slow_steps += run.slow_steps(self._slow_gap_ps)
        if self.gaps is not None and self._decoders:
            gap_ps = (run.end_ps - run.begun_ps) // run.steps  # those of one run are much alike
            self.gaps[gap_ps] = self.gaps.get(gap_ps, 0) + self._decoders * run.steps
        self._steps += run.steps
        self._context += self._decoders * run.steps
        for job, end in run.chunks:
            job.computed = end
            if end == job.tokens and not job.cancelled:
                self._sample(job, run.end_ps)
        while self._finishing and self._finishing[0][0] == self._steps:
            job = heapq.heappop(self._finishing)[2]
            # An entry of before a preemption names a step that no longer ends the job.
            if job.decoding and self._steps - job.step_zero == job.output_tokens:
                self._finish(job, run.end_ps)

    # -- jobs ------------------------------------------------------------------------------------

    def _sample(self, job: Job, now_ps: int) -> None:
        """A job's prefill is complete: it has a token, and decodes from the next step on."""
        job.made += 1
        job.decoding = True
        job.step_zero = self._steps - job.made
        job.slow_zero = self._slow_steps
        self._decoders += 1
        self._context += job.tokens
        self._phases[self._phase(job)] += 1
        if job.last_token_ps >= 0 and now_ps - job.last_token_ps > self._slow_gap_ps:
            job.slow_gaps += 1
        last_step = self._steps + job.output_tokens - job.made
        heapq.heappush(self._finishing, (last_step, job.sequence, job))
        if job.first_token_ps < 0:
            job.first_token_ps = now_ps
            self._on_first_token(job)

    def _stop_decoding(self, job: Job) -> None:
        job.made = self._steps - job.step_zero
        job.computed = job.tokens - 1
        job.decoding = False
        job.slow_gaps += self._slow_steps - job.slow_zero
        self._decoders -= 1
        self._context -= job.tokens
        self._phases[self._phase(job)] -= 1

    def _leave(self, job: Job) -> None:
        """Take a job out of the batch and let go of its blocks."""
        if job.decoding:
            self._stop_decoding(job)
        self.running.remove(job)
        self.blocks.release(job.held, self._block_count(job.computed) - len(job.held))
        job.held, job.named, job.computed = [], 0, 0

    def _finish(self, job: Job, now_ps: int) -> None:
        self._stop_decoding(job)
        # The answer's blocks get their names here: nobody could ask for them earlier.
        self._name(job, job.computed)
        self._leave(job)
        job.finished_ps = now_ps
        self._on_finished(job)

    def _preempt(self, job: Job, now_ps: int) -> None:
        if job.decoding:
            job.last_token_ps = now_ps
            self._stop_decoding(job)
            self._name(job, job.computed)
        self._leave(job)
        job.preemptions += 1
        self._queue(job)

    def _drop_cancelled(self) -> None:
        self._cancelled = False
        for job in [job for job in self.running if job.cancelled]:
            self._leave(job)

    def _queue(self, job: Job) -> None:
        heapq.heappush(self._waiting, (job.priority, job.sequence, job))
        job.waiting = True
        self._count_waiting(job, 1)

    def _count_waiting(self, job: Job, change: int) -> None:
        self.waiting += change
        self._waiting_tokens += change * job.tokens

    def _head(self) -> Job | None:
        while self._waiting and self._waiting[0][2].cancelled:
            heapq.heappop(self._waiting)
        return self._waiting[0][2] if self._waiting else None

    # -- scheduling ------------------------------------------------------------------------------

    def _mixed_run(self, now_ps: int) -> Run:
        """One step that prefills, or that has to make room."""
        chunks: list[tuple[Job, int]] = []
        budget = self.profile.step_tokens_max - self._decoders
        # Budget that is left over admits the next job, so only the last one can be half prefilled.
        partial = self.running[-1] if self._decoders < len(self.running) else None
        needed = self._new_blocks(1)
        if partial is not None:
            needed += self._growth(partial, budget)
        if needed > self.blocks.available:
            self._make_room(now_ps, chunks)
            return self._step(now_ps, chunks)
        self.blocks.take(needed)
        if partial is not None:
            end = self._end(partial, budget)
            budget -= end - partial.computed
            if end > partial.computed:
                self._name(partial, min(end, partial.prompt_tokens))
                chunks.append((partial, end))
        self._admit(budget, chunks)
        return self._step(now_ps, chunks)

    def _make_room(self, now_ps: int, chunks: list[tuple[Job, int]]) -> None:
        """Schedule the batch job by job, preempting whenever the next one lacks a block."""
        budget = self.profile.step_tokens_max
        taken: dict[int, int] = {}  # blocks taken for this step, by job sequence
        for job in list(self.running):
            while job in self.running and self._growth(job, budget) > self.blocks.available:
                victim = max(self.running, key=lambda one: one.key)
                # By priority the victim may have had its turn in this very step.
                self.blocks.release((), taken.pop(victim.sequence, 0))
                chunks[:] = [chunk for chunk in chunks if chunk[0] is not victim]
                self._preempt(victim, now_ps)
            if job not in self.running:
                continue
            taken[job.sequence] = self._growth(job, budget)
            self.blocks.take(taken[job.sequence])
            end = self._end(job, budget)
            budget -= end - self._computed(job)
            if not job.decoding and end > job.computed:
                chunks.append((job, end))
        for job, end in chunks:
            self._name(job, min(end, job.prompt_tokens))

    def _admit(self, budget: int, chunks: list[tuple[Job, int]]) -> None:
        """Move jobs from the queue into the batch while there is room for its head."""
        while budget and (job := self._head()) and len(self.running) < self.profile.seqs_max:
            hits, end = self._first_chunk(job, budget)
            if self._lacks_blocks(job, hits, end):
                return
            heapq.heappop(self._waiting)
            self._count_waiting(job, -1)
            job.waiting = False
            self.running.append(job)
            self.blocks.hold(job.blocks, hits)
            self.blocks.take(self._block_count(end) - hits)
            job.held = list(job.blocks[:hits])
            job.named = hits
            job.computed = hits * self.profile.block_tokens
            if job.first_token_ps < 0 and not job.preemptions:
                job.cached_tokens = job.computed
            self._name(job, min(end, job.prompt_tokens))
            chunks.append((job, end))
            budget -= end - job.computed

    def _admissible(self, head: Job | None) -> bool:
        """Whether the head of the queue would be admitted by the next step."""
        budget = self.profile.step_tokens_max - len(self.running)
        if head is None or budget <= 0 or len(self.running) >= self.profile.seqs_max:
            return False
        hits, end = self._first_chunk(head, budget)
        return not self._lacks_blocks(head, hits, end)

    def _first_chunk(self, job: Job, budget: int) -> tuple[int, int]:
        """Cached leading blocks of a waiting job, and where its first chunk ends."""
        # The last token is computed even where all is cached: its logits are the answer's first.
        most = (job.tokens - 1) // self.profile.block_tokens
        hits = self.blocks.cached(job.blocks, most)
        return hits, min(job.tokens, hits * self.profile.block_tokens + budget)

    def _lacks_blocks(self, job: Job, hits: int, end: int) -> bool:
        idle = self.blocks.idle_among(job.blocks, hits)
        needed = self._block_count(job.tokens if self.profile.admits_whole else end)
        return needed - hits + idle > self.blocks.available

    def _step(self, now_ps: int, chunks: list[tuple[Job, int]]) -> Run:
        duration_ps = self.profile.step_ps(chunks, self._decoders, self._context)
        return Run(now_ps, now_ps + duration_ps, 1, duration_ps, 0, chunks)

    # -- blocks ----------------------------------------------------------------------------------

    def _name(self, job: Job, tokens: int) -> None:
        """Name the job's full blocks among its first `tokens`, so that others find them."""
        full = min(tokens // self.profile.block_tokens, len(job.blocks))
        if full > job.named:
            job.held += self.blocks.name(job.blocks[job.named : full])
            job.named = full

    def _block_count(self, tokens: int) -> int:
        return -(-tokens // self.profile.block_tokens)

    def _computed(self, job: Job) -> int:
        if job.decoding:
            return job.prompt_tokens + self._steps - job.step_zero - 1
        return job.computed

    def _end(self, job: Job, budget: int) -> int:
        """Where this step's chunk of a running job ends."""
        computed = self._computed(job)
        return computed + 1 if job.decoding else min(job.tokens, computed + budget)

    def _growth(self, job: Job, budget: int) -> int:
        """Blocks that a running job needs for this step."""
        return self._block_count(self._end(job, budget)) - self._block_count(self._computed(job))

    def _phase(self, job: Job) -> int:
        """The step, modulo a block's tokens, at which a decoding job begins a new block."""
        return (1 + job.step_zero - job.prompt_tokens) % self.profile.block_tokens

    def _new_blocks(self, steps: int) -> int:
        """Blocks that all decoding jobs need for the next `steps` steps."""
        rounds, rest = divmod(steps, self.profile.block_tokens)
        new = rounds * self._decoders
        begin = self._steps % self.profile.block_tokens
        end = begin + rest
        if end > self.profile.block_tokens:
            new += sum(self._phases[: end - self.profile.block_tokens])
        return new + sum(self._phases[begin:end])

    def _steps_max(self) -> int:
        """Steps that the free blocks allow while all running jobs decode."""
        available, size = self.blocks.available, self.profile.block_tokens
        low = available // len(self.running) * size  # each job needs one block for `size` steps
        if low >= self._finishing[0][0] - self._steps:
            return low
        high = low + 2 * size
        while low < high:
            middle = (low + high + 1) // 2
            if self._new_blocks(middle) <= available:
                low = middle
            else:
                high = middle - 1
        return low
