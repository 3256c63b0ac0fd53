// SPDX-License-Identifier: GPL-2.0
/* Steps on registers, and where the program goes next. */
#include "program.h"

#include <errno.h>

bool compared(uint64_t how, uint64_t left, uint64_t right, bool *known)
{
	*known = true;
	switch (how) {
	case CMP_EQ:
		return left == right;
	case CMP_NE:
		return left != right;
	case CMP_LTU:
		return left < right;
	case CMP_LEU:
		return left <= right;
	case CMP_LTS:
		return (int64_t)left < (int64_t)right;
	case CMP_LES:
		return (int64_t)left <= (int64_t)right;
	case CMP_GTU:
		return left > right;
	case CMP_GEU:
		return left >= right;
	default:
		*known = false;
		return false;
	}
}

static void arith(struct run *run, const struct step *step)
{
	uint64_t how = operand_value(run, step, 1);
	uint64_t a = operand_value(run, step, 2), b = operand_value(run, step, 3), v = 0;
	bool known = true;

	switch (how) {
	case 16:
		v = a + b;
		break;
	case 17:
		v = a - b;
		break;
	case 18:
		v = a * b;
		break;
	case 19:
	case 20:
		if (b)
			v = how == 19 ? a / b : a % b;
		else
			known = false;
		break;
	case 21:
		v = a & b;
		break;
	case 22:
		v = a | b;
		break;
	case 23:
		v = a ^ b;
		break;
	case 24:
		v = b < 64 ? a << b : 0;
		break;
	case 25:
		v = b < 64 ? a >> b : 0;
		break;
	default:
		v = compared(how, a, b, &known);
	}
	if (!known)
		run_end(run, RUN_BAD, EDOM);
	operand_result(run, step, 0, v);
}

static void jump(struct run *run, uint64_t to)
{
	if (to > run->nsteps)
		run_end(run, RUN_BAD, ERANGE);
	else if (run->next != UINT32_MAX)
		run->next = (uint32_t)to;
}

void op_flow(struct run *run, const struct step *step)
{
	bool known = true;
	uint64_t value;

	switch (step->op) {
	case OP_NOP:
		break;
	case OP_SET:
		operand_result(run, step, 0, operand_value(run, step, 1));
		break;
	case OP_ARITH:
		arith(run, step);
		break;
	case OP_JUMP:
		jump(run, operand_value(run, step, 0));
		break;
	case OP_BRANCH:
		if (compared(operand_value(run, step, 0), operand_value(run, step, 1),
			     operand_value(run, step, 2), &known))
			jump(run, operand_value(run, step, 3));
		if (!known)
			run_end(run, RUN_BAD, EDOM);
		break;
	case OP_EMIT:
		value = operand_value(run, step, 0);
		run_record(run, RECORD_EMIT, &value, sizeof(value));
		break;
	case OP_END:
		run->address = operand_value(run, step, 0);
		run_end(run, RUN_ENDED, 0);
		break;
	default:
		run_end(run, RUN_BAD, EOPNOTSUPP);
	}
}
