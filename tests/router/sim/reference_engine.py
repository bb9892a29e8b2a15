"""The rules of router.sim.engine, token by token: slow, plain, and right by inspection."""

from dataclasses import dataclass, field


@dataclass(eq=False)
class Job:
    id: int
    arrival_ps: int
    prompt: int
    output: int
    blocks: tuple
    priority: int
    cancel_ps: int | None = None
    computed: int = 0
    made: int = 0
    decoding: bool = False
    tables: list = field(default_factory=list)  # one entry a block: its name, or None
    offered: int = 0
    cached_tokens: int = 0
    first_token_ps: int = -1
    finished_ps: int = -1
    last_token_ps: int = -1
    slow_gaps: int = 0
    preemptions: int = 0

    @property
    def key(self):
        return (self.priority, self.id)

    @property
    def tokens(self):
        return self.prompt + self.made


class Reference:
    def __init__(self, profile, slow_gap_ps):
        self.profile, self.slow_gap_ps = profile, slow_gap_ps
        self.holders = {}  # name -> number of jobs
        self.idle = []  # names, oldest first
        self.running, self.waiting = [], []

    # -- blocks

    def private(self):
        return sum(entry is None for job in self.running for entry in job.tables)

    def available(self):
        return self.profile.kv_blocks - self.private() - len(self.holders)

    def count(self, tokens):
        return (tokens + self.profile.block_tokens - 1) // self.profile.block_tokens

    def add_blocks(self, job, tokens):
        for _ in range(self.count(tokens) - len(job.tables)):
            job.tables.append(None)
            if self.private() + len(self.holders) + len(self.idle) > self.profile.kv_blocks:
                self.idle.pop(0)

    def name_blocks(self, job, tokens):
        full = min(tokens // self.profile.block_tokens, len(job.blocks))
        for index in range(job.offered, full):  # each block is offered its name once
            name = job.blocks[index]
            if name not in self.holders and name not in self.idle:
                job.tables[index] = name
                self.holders[name] = 1
        job.offered = max(job.offered, full)

    def leave(self, job):
        self.running.remove(job)
        for name in reversed(job.tables):
            if name is not None:
                self.holders[name] -= 1
                if not self.holders[name]:
                    del self.holders[name]
                    self.idle.append(name)
        job.tables, job.computed, job.decoding, job.offered = [], 0, False, 0

    # -- one step

    def run(self, jobs):
        pending = sorted(jobs, key=lambda job: (job.arrival_ps, job.id))
        now = 0
        while pending or self.waiting or self.running:
            if not self.waiting and not self.running:
                now = max(now, pending[0].arrival_ps)
            while pending and pending[0].arrival_ps <= now:
                self.waiting.append(pending.pop(0))
            for job in [*self.waiting, *self.running]:
                if job.cancel_ps is not None and job.cancel_ps <= now:
                    if job in self.running:
                        self.leave(job)
                    else:
                        self.waiting.remove(job)
            if not self.waiting and not self.running:
                continue
            now = self.step(now)

    def step(self, now):
        budget = self.profile.step_tokens_max
        planned = {}
        preempted = False
        for job in list(self.running):
            while job in self.running:
                end = job.computed + min(job.tokens - job.computed, budget)
                if self.count(end) - len(job.tables) <= self.available():
                    break
                victim = max(self.running, key=lambda one: one.key)
                planned.pop(victim, None)
                if victim.decoding:
                    victim.last_token_ps = now
                    self.name_blocks(victim, victim.computed)
                self.leave(victim)
                victim.preemptions += 1
                self.waiting.append(victim)
                preempted = True
            if job in self.running and end > job.computed:
                self.add_blocks(job, end)
                planned[job] = end
                budget -= end - job.computed
        for job, end in planned.items():
            self.name_blocks(job, min(end, job.prompt))
        if not preempted:
            self.admit(budget, planned)
        return self.compute(now, planned)

    def admit(self, budget, planned):
        self.waiting.sort(key=lambda job: job.key)
        while budget and self.waiting and len(self.running) < self.profile.seqs_max:
            job, size = self.waiting[0], self.profile.block_tokens
            hits = 0
            for name in job.blocks[: (job.tokens - 1) // size]:
                if name not in self.holders and name not in self.idle:
                    break
                hits += 1
            end = min(job.tokens, hits * size + budget)
            woken = sum(name in self.idle for name in job.blocks[:hits])
            whole = self.count(job.tokens if self.profile.admits_whole else end)
            if whole - hits + woken > self.available():
                return
            self.waiting.pop(0)
            self.running.append(job)
            for name in job.blocks[:hits]:
                if name in self.idle:
                    self.idle.remove(name)
                self.holders[name] = self.holders.get(name, 0) + 1
                job.tables.append(name)
            job.computed, job.offered = hits * size, hits
            if job.first_token_ps < 0 and not job.preemptions:
                job.cached_tokens = job.computed
            self.add_blocks(job, end)
            self.name_blocks(job, min(end, job.prompt))
            planned[job] = end
            budget -= end - job.computed

    def compute(self, now, planned):
        now += self.duration(planned)
        gone = [j for j in planned if j.cancel_ps is not None and j.cancel_ps <= now]
        for job, end in planned.items():
            job.computed = end
        for job in sorted(planned, key=lambda job: job.decoding):
            if job.computed < job.tokens or (job in gone and not job.decoding):
                continue
            job.made += 1
            if job.first_token_ps < 0:
                job.first_token_ps = now
            elif now - job.last_token_ps > self.slow_gap_ps:
                job.slow_gaps += 1
            job.last_token_ps = now
            job.decoding = True
        for job in sorted(planned, key=lambda job: job.id):
            if job.made == job.output:
                self.name_blocks(job, job.computed)
                self.leave(job)
                job.finished_ps = now
        return now

    def duration(self, planned):
        profile = self.profile
        decoding = [job for job in planned if job.decoding]
        prefills = [(job.computed, end) for job, end in planned.items() if not job.decoding]
        base = max(
            profile.prefill_base_ps if prefills else 0, profile.decode_base_ps if decoding else 0
        )
        return (
            base
            + profile.prefill_token_ps * sum(end - start for start, end in prefills)
            + profile.prefill_pair_ps * sum(end**2 - start**2 for start, end in prefills)
            + profile.decode_seq_ps * len(decoding)
            + profile.decode_context_ps * sum(job.tokens for job in decoding)
        )
