export { checkVariants } from "./check.ts";
export { tryLawful, type LawfulProof } from "./lawful.ts";
export { lawfulDocument, renderLawful, type LawfulDocument } from "./report.ts";
export { chooseVariants, readVariants, type Variant } from "./variant.ts";
