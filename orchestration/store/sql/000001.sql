-- Results of runs. The JSONL of a run stays the source of truth: every row here can be made again from it.
-- Written for PostgreSQL 15; runs on PGlite as it is.

create table run (
	id text primary key,
	started_at timestamptz,
	ended_at timestamptz,
	plan_digest text,
	seed bigint,
	ended text check (ended in ('complete', 'interrupted')),
	-- from the verdict; null until it is judged
	verdict text check (verdict in ('conformant', 'violated', 'undecided')),
	exit_code integer,
	catalogue_digest text,
	suite_digest text,
	selection text,
	reasons jsonb,
	canaries_right integer,
	canaries_planned integer,
	document jsonb
);

create index run_by_start on run (started_at desc);

-- How far the records of a run are read; a killed ingest goes on from here.
create table ingest (
	run text primary key references run (id) on delete cascade,
	bytes_read bigint not null default 0,
	torn integer not null default 0,
	records integer not null default 0
);

create table run_target (
	run text not null references run (id) on delete cascade,
	target text not null,
	accel text,
	accel_why text,
	generation text,
	ended text,
	error jsonb,
	durations_ms jsonb,
	verdict text,
	counts jsonb,
	requirements jsonb,
	primary key (run, target)
);

create table artifact (
	run text not null references run (id) on delete cascade,
	target text not null,
	name text not null,
	key text not null,
	state text not null,
	because text not null,
	primary key (run, target, name)
);

create table fact (
	run text not null references run (id) on delete cascade,
	target text not null,
	name text not null,
	value jsonb,
	primary key (run, target, name)
);

-- Titles are long and come again with every run.
create table test_name (
	id integer generated always as identity primary key,
	name text not null unique,
	area text not null
);

-- One try of one test, as the runner saw it.
create table attempt (
	run text not null references run (id) on delete cascade,
	target text not null,
	test integer not null references test_name (id),
	attempt integer not null,
	begun_at timestamptz,
	runner text,
	duration_ms real,
	limit_ms real,
	errors jsonb,
	unsupported jsonb,
	evidence text,
	primary key (run, target, test, attempt)
);

-- What the judge calls it.
create table result (
	run text not null references run (id) on delete cascade,
	target text not null,
	test integer not null references test_name (id),
	outcome text not null,
	message text,
	duration_ms real,
	waived boolean not null,
	canary boolean not null,
	primary key (run, target, test)
);

create index result_by_test on result (test, target, run);

create table requirement_state (
	run text not null references run (id) on delete cascade,
	target text not null,
	requirement text not null,
	level text not null,
	state text not null,
	because text,
	primary key (run, target, requirement)
);

create index requirement_state_by_requirement on requirement_state (requirement, target, run);

create table kernel_event (
	run text not null references run (id) on delete cascade,
	-- the record that told of it, and its place in there
	writer text not null,
	seq integer not null,
	place integer not null,
	target text not null,
	test integer references test_name (id),
	machine text,
	kind text not null,
	fingerprint text not null,
	title text not null,
	console_offset bigint not null,
	excerpt text not null,
	primary key (run, writer, seq, place)
);

create index kernel_event_by_fingerprint on kernel_event (fingerprint);
