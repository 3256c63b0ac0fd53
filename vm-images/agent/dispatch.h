/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BUSLAB_DISPATCH_H
#define BUSLAB_DISPATCH_H

struct frame;
void dispatch(const struct frame *frame);

#endif
