export { tryDerived, type RequirementProof } from "./derived.ts";
export { writeSwitchedModule } from "./module.ts";
export { derivedDocument, renderDerived, type DerivedDocument } from "./report.ts";
export { RULES, type DerivedBug } from "./rules.ts";
