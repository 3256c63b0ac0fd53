-- What a results centre asks for: counts that need no walk over millions of results, texts of requirements, figures,
-- waivers, an index of the evidence and what became of it, and tokens of the HTTP API.

alter table run add column pinned_at timestamptz;
alter table run add column pin_reason text;
-- set when evidence of the run was removed: when, why, how many bytes
alter table run add column pruned_at timestamptz;
alter table run add column pruned jsonb;

create index run_by_id_desc on run (id desc);
create index run_target_by_target on run_target (target, run desc);

-- Counts of a run's results per target and area, without canaries; made again with every verdict.
create table run_area (
	run text not null references run (id) on delete cascade,
	target text not null,
	area text not null,
	planned integer not null,
	passed integer not null,
	failed integer not null,
	crashed integer not null,
	timed_out integer not null,
	unsupported integer not null,
	infra_error integer not null,
	not_run integer not null,
	waived integer not null,
	primary key (run, target, area)
);

insert into run_area
select r.run, r.target, n.area, count(*),
	count(*) filter (where r.outcome = 'passed'), count(*) filter (where r.outcome = 'failed'),
	count(*) filter (where r.outcome = 'crashed'), count(*) filter (where r.outcome = 'timed-out'),
	count(*) filter (where r.outcome = 'unsupported'), count(*) filter (where r.outcome = 'infra-error'),
	count(*) filter (where r.outcome = 'not-run'), count(*) filter (where r.waived)
from result r join test_name n on n.id = r.test
where not r.canary
group by r.run, r.target, n.area;

create index test_name_by_area on test_name (area);

-- The newest text known of a requirement; a run's own is in its verdict.
create table requirement (
	id text primary key,
	area text not null,
	level text not null,
	text text not null,
	catalogue_digest text not null,
	run text not null
);

-- Which requirements a test speaks for, in any run.
create table test_requirement (
	test integer not null references test_name (id),
	requirement text not null,
	primary key (test, requirement)
);

create index test_requirement_by_requirement on test_requirement (requirement);

create index kernel_event_by_test on kernel_event (test, run);

-- Files kept for a test, by their path in the run's folder. The files are not in the database.
create table evidence (
	run text not null references run (id) on delete cascade,
	path text not null,
	target text not null,
	test integer not null references test_name (id),
	bytes bigint not null,
	-- set when retention removed the file
	pruned_at timestamptz,
	primary key (run, path)
);

create index evidence_by_test on evidence (test, run, target);

-- A document of `bench`, by its digest: the same one is stored once.
create table bench (
	id text primary key,
	measured_at timestamptz not null,
	target text not null,
	accel text not null,
	document jsonb not null
);

create table figure (
	bench text not null references bench (id) on delete cascade,
	name text not null,
	value double precision not null,
	unit text not null,
	against text,
	ratio double precision,
	exact boolean not null,
	primary key (bench, name)
);

create index figure_by_name on figure (name);

-- Rows of waiver files, by the line that a verdict names them by.
create table waiver (
	text text primary key,
	requirement text not null,
	target text not null,
	owner text not null,
	reason text not null,
	last_day date not null,
	-- false once the newest file no longer has it
	present boolean not null
);

-- What a run's verdict says of waivers.
create table run_waiver (
	run text not null references run (id) on delete cascade,
	text text not null,
	state text not null check (state in ('used', 'expired', 'unused')),
	primary key (run, text)
);

create index run_waiver_by_text on run_waiver (text);

-- Who may speak to the HTTP API. The token itself is never stored.
create table token (
	id text primary key,
	name text not null,
	-- SHA-256 of the token, hexadecimal; a token has 256 random bits, so no slow hash is needed
	hash text not null unique,
	role text not null check (role in ('read', 'submit', 'worker', 'admin')),
	created_at timestamptz not null default now(),
	expires_at timestamptz,
	last_used_at timestamptz,
	revoked_at timestamptz
);
