import { digestJson } from "../../orchestration/base/digest.ts";
import { SuiteError } from "../../orchestration/base/errors.ts";
import { ABI } from "./abi.ts";
import { BUS } from "./bus.ts";
import { CONN } from "./conn.ts";
import { EP } from "./ep.ts";
import { FD } from "./fd.ts";
import { FS } from "./fs.ts";
import { LIM } from "./lim.ts";
import { LSM } from "./lsm.ts";
import { MATCH } from "./match.ts";
import { META } from "./meta.ts";
import { MON } from "./mon.ts";
import { MSG } from "./msg.ts";
import { NAME } from "./name.ts";
import { NOTE } from "./note.ts";
import { NS } from "./ns.ts";
import { ORD } from "./ord.ts";
import { POL } from "./pol.ts";
import { POOL } from "./pool.ts";
import { SCN } from "./scn.ts";
import { GENERATIONS, LEVELS, type Generation, type Level, type Requirement } from "./requirement.ts";

export { GENERATIONS, LEVELS, type Generation, type Level, type Requirement };

/** The areas in the order of the specification; the key is the folder of the area's tests and the lower-case prefix of its ids. */
const BY_AREA = {
  abi: ABI,
  fs: FS,
  bus: BUS,
  ep: EP,
  conn: CONN,
  name: NAME,
  pol: POL,
  msg: MSG,
  pool: POOL,
  fd: FD,
  meta: META,
  ns: NS,
  match: MATCH,
  note: NOTE,
  ord: ORD,
  mon: MON,
  lim: LIM,
  lsm: LSM,
  scn: SCN,
} as const;

export type Area = keyof typeof BY_AREA;

/** Every id of the catalogue; a misspelt one does not compile. */
export type RequirementId = (typeof BY_AREA)[Area][number]["id"];

/** A requirement whose id is known to be in the catalogue. */
export type CataloguedRequirement = Requirement & { readonly id: RequirementId };

export const AREAS = Object.keys(BY_AREA) as readonly Area[];

export const REQUIREMENTS: readonly CataloguedRequirement[] = Object.values(BY_AREA).flat();

const byId: ReadonlyMap<string, CataloguedRequirement> = new Map(REQUIREMENTS.map((row) => [row.id, row]));

/** Digest of all statements: names the denominator of a verdict. */
export const CATALOGUE_DIGEST = digestJson(REQUIREMENTS);

export function isRequirementId(id: string): id is RequirementId {
  return byId.has(id);
}

/** @throws REQUIREMENT_UNKNOWN for a string that is no id */
export function requirement(id: string): CataloguedRequirement {
  const found = byId.get(id);
  if (found === undefined) throw new SuiteError("REQUIREMENT_UNKNOWN", `"${id}" is no requirement; ids look like MSG-014`);
  return found;
}

/** The area a requirement belongs to, from its id. */
export function areaOf(id: RequirementId): Area {
  return id.slice(0, id.indexOf("-")).toLowerCase() as Area;
}

export function requirementsOf(area: Area): readonly CataloguedRequirement[] {
  return BY_AREA[area];
}

/** True if the requirement holds for subjects of that generation. */
export function holdsFor(row: Requirement, generation: Generation): boolean {
  return row.generations === undefined || row.generations.includes(generation);
}
