import { SuiteError } from "../base/errors.ts";

/** The value of an option that is a whole number from 1 to `most`, or `otherwise` where it is not given. @throws USAGE */
export function wholeNumber(option: string, text: string | undefined, otherwise: number, most: number): number {
  const value = text === undefined ? otherwise : Number(text);
  if (!Number.isInteger(value) || value < 1 || value > most) throw new SuiteError("USAGE", `${option} "${text ?? ""}" is no whole number from 1 to ${most}`);
  return value;
}
