import assert from "node:assert/strict";
import { test } from "node:test";
import { plantSwitches } from "./rules.ts";

const derive = (source: string): { text: string; bugs: string[] } => {
  const { text, bugs } = plantSwitches("a.c", source, 1);
  return { text, bugs: bugs.map(({ place, rule, line, code }) => `${place} ${rule} ${line} ${code}`) };
};

test("a condition gets a bug that it never holds and one that it always does", () => {
  const { text, bugs } = derive("\tif (kdbus_ready(a))\n\t\treturn 0;\n");
  assert.deepEqual(bugs, ["1 never 1 kdbus_ready(a)", "2 always 1 kdbus_ready(a)"]);
  assert.equal(text, "\tif (KDBUS_ALWAYS(2, KDBUS_NEVER(1, (kdbus_ready(a)))))\n\t\treturn 0;\n");
});

test("a comparison without effects gets one that is off by one", () => {
  const { text, bugs } = derive("if (size > limit)\n");
  assert.equal(bugs.at(-1), "3 bound 1 size > limit => size >= limit");
  assert.equal(text, "if (KDBUS_OTHER(3, KDBUS_ALWAYS(2, KDBUS_NEVER(1, (size > limit))), (size >= limit)))\n");
});

test("a comparison with a call or an assignment is not computed twice", () => {
  for (const condition of ["next(i) < 3", "i++ < 3", "(ret = a) < 3"]) assert.equal(derive(`if (${condition})`).bugs.length, 2, condition);
});

test("a chain loses each of its parts, but none that keeps a later one from a null pointer", () => {
  assert.deepEqual(derive("if (a && b)").bugs.slice(2), ["3 operand 1 a && b => b", "4 operand 1 a && b => a"]);
  assert.deepEqual(derive("if (!p || p->x)").bugs.slice(2), ["3 operand 1 !p || p->x => !p"]);
  assert.equal(derive("if (a && b || c)").bugs.length, 2, "which belongs to which is not worked out");
});

test("an error that is answered gets another one, a constant and a comparison do not", () => {
  assert.deepEqual(derive("\treturn -EINVAL;\n\tret = -EPERM;\n\treturn ERR_PTR(-ENOMEM);\n\treturn ok ? 0 : -EIO;\n").bugs.map((bug) => bug.split(" ").slice(0, 3).join(" ")), ["1 errno 1", "2 errno 2", "3 errno 3", "4 errno 4"]);
  assert.deepEqual(derive("\tstatic const int e = -EPERM;\n\twhile (ret == -EAGAIN) ;\n").bugs, []);
  assert.deepEqual(derive("if (ret == -EAGAIN)").bugs.map((bug) => bug.split(" ")[1]), ["never", "always"]);
});

test("comments, strings and macros are left alone, and lines keep their numbers", () => {
  const source = '/* if (a)\n return -EIO; */\n#define X(a) if (a) \\\n\treturn -EIO;\n\tputs("if (b)"); // if (c)\n\tif (a &&\n\t    b < c)\n\t\treturn -EIO;\n';
  const { text, bugs } = derive(source);
  assert.deepEqual([...new Set(bugs.map((bug) => bug.split(" ")[2]))], ["6", "8"]);
  assert.equal(text.split("\n").length, source.split("\n").length);
});

test("numbers go on from the first", () => {
  assert.deepEqual(plantSwitches("b.c", "if (f())\n", 41).bugs.map(({ place }) => place), [41, 42]);
});

test("a condition that is not closed is named", () => {
  assert.throws(() => plantSwitches("a.c", "\nif (a\n", 1), /a\.c:2 has a condition without its closing bracket/);
});
