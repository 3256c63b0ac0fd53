// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "dispatch.h"

/*
 * Frame, all fields little endian:
 *
 *	 0	u8[4]	'B' 'L' 'G' and the version of the format, 1
 *	 4	u32	bytes of payload
 *	 8	u32	number: frames sent in this direction since SYNC, from 0
 *	12	u32	request: chosen by the client, repeated in the reply;
 *			0 in events
 *	16	u16	type
 *	18	u16	zero
 *	20	u32	crc32 of the bytes 0..19 and the payload
 *	24		payload
 *
 * A frame with a wrong field is reported as EV_BAD_FRAME and nothing after it
 * is trusted: the link hunts for the next SYNC, byte by byte. It does the same
 * at the start, after the host closed its end in mid-frame, and when a frame stays
 * incomplete for STUCK_NS (what a client that died in mid-frame leaves behind).
 */
#define HEADER		24
#define SYNC_PAYLOAD	24	/* u8[16] nonce, u32 flags, u32 zero */
#define SYNC_KEEP_PEERS	1
#define STUCK_NS	1000000000ull

static const uint8_t magic[4] = { 'B', 'L', 'G', AGENT_VERSION };

static void link_ready(struct source *source, uint32_t events);

static struct {
	struct source source;
	bool is_port;
	bool hunting;
	struct buf in;
	struct buf out;
	uint32_t next_in;
	uint32_t next_out;
	uint64_t last_read_ns;
} conn = { .source = { .fd = -1, .ready = link_ready } };

void link_adopt(int fd, bool is_port)
{
	link_drop();
	conn.source.fd = fd;
	conn.is_port = is_port;
	conn.hunting = true;
	conn.in.len = 0;
	conn.out.len = 0;
	if (source_add(&conn.source, EPOLLIN | EPOLLOUT | EPOLLET) < 0) {
		perror("buslab-agent: epoll on the link");
		exit(1);
	}
}

bool link_is_open(void)
{
	return conn.source.fd >= 0;
}

void link_drop(void)
{
	if (conn.source.fd < 0)
		return;
	source_remove(&conn.source);
	close(conn.source.fd);
	conn.source.fd = -1;
}

static void flush(void)
{
	size_t done = 0;

	while (done < conn.out.len) {
		ssize_t n = write(conn.source.fd, conn.out.data + done,
				  conn.out.len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (done)
		buf_drop(&conn.out, done);
	if (!conn.out.len && conn.out.cap > 1u << 20)
		buf_free(&conn.out);
}

void link_send(uint16_t type, uint32_t request, const void *payload, size_t len)
{
	size_t start = conn.out.len;
	uint32_t crc;

	if (conn.source.fd < 0)
		return;
	buf_put(&conn.out, magic, sizeof(magic));
	buf_u32(&conn.out, (uint32_t)len);
	buf_u32(&conn.out, conn.next_out++);
	buf_u32(&conn.out, request);
	buf_u16(&conn.out, type);
	buf_u16(&conn.out, 0);
	crc = crc32_of(0, conn.out.data + start, HEADER - 4);
	crc = crc32_of(crc, payload, len);
	buf_u32(&conn.out, crc);
	buf_put(&conn.out, payload, len);
	flush();
}

void reply_ok(uint32_t for_session, uint32_t request, const struct buf *payload)
{
	if (for_session == session)
		link_send(REP_OK, request, payload ? payload->data : NULL,
			  payload ? payload->len : 0);
}

void reply_error(uint32_t for_session, uint32_t request, int err, const char *format, ...)
{
	struct buf b = { 0 };
	char text[512];
	va_list args;

	if (for_session != session)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	buf_u32(&b, (uint32_t)err);
	buf_str(&b, text);
	link_send(REP_ERROR, request, b.data, b.len);
	buf_free(&b);
}

/* One complete and sound frame at @p? */
static bool sound(const uint8_t *p, size_t left, struct frame *frame, uint32_t *number)
{
	struct reader r = reader_of(p + 4, HEADER - 4);
	uint32_t len = read_u32(&r);
	uint32_t crc;

	*number = read_u32(&r);
	frame->request = read_u32(&r);
	frame->type = read_u16(&r);
	if (read_u16(&r) || len > left - HEADER)
		return false;
	crc = crc32_of(crc32_of(0, p, HEADER - 4), p + HEADER, len);
	frame->payload = p + HEADER;
	frame->len = len;
	return crc == read_u32(&r);
}

/* Finds the next SYNC; true when one was found, else waits for more bytes. */
static bool hunt(struct frame *frame)
{
	size_t at = 0;
	uint32_t number;

	for (; conn.in.len - at >= HEADER + SYNC_PAYLOAD; at++) {
		const uint8_t *p = conn.in.data + at;

		if (memcmp(p, magic, sizeof(magic)) || p[4] != SYNC_PAYLOAD ||
		    p[16] != REQ_SYNC || p[17])
			continue;
		if (!sound(p, conn.in.len - at, frame, &number) ||
		    frame->len != SYNC_PAYLOAD)
			continue;
		conn.next_in = number + 1;
		conn.hunting = false;
		buf_drop(&conn.in, at);
		frame->payload = conn.in.data + HEADER;
		return true;
	}
	buf_drop(&conn.in, at);
	return false;
}

static void bad_frame(const char *why)
{
	struct buf b = { 0 };

	conn.hunting = true;
	buf_str(&b, why);
	link_send(EV_BAD_FRAME, 0, b.data, b.len);
	buf_free(&b);
	if (conn.in.len)
		buf_drop(&conn.in, 1); /* its own magic must not be found again */
}

enum next { NEXT_NONE, NEXT_FRAME, NEXT_BAD };

static enum next next_frame(struct frame *frame)
{
	uint32_t number;
	char why[160];
	struct reader r;
	uint32_t len;

	if (conn.hunting)
		return hunt(frame) ? NEXT_FRAME : NEXT_NONE;
	if (conn.in.len < HEADER)
		return NEXT_NONE;
	if (memcmp(conn.in.data, magic, sizeof(magic))) {
		snprintf(why, sizeof(why), "a frame began with %02x %02x %02x %02x",
			 conn.in.data[0], conn.in.data[1], conn.in.data[2], conn.in.data[3]);
		bad_frame(why);
		return NEXT_BAD;
	}
	r = reader_of(conn.in.data + 4, 4);
	len = read_u32(&r);
	if (len > MAX_PAYLOAD) {
		snprintf(why, sizeof(why), "a frame of %u bytes, the limit is %u", len, MAX_PAYLOAD);
		bad_frame(why);
		return NEXT_BAD;
	}
	if (conn.in.len < HEADER + len)
		return NEXT_NONE;
	if (!sound(conn.in.data, conn.in.len, frame, &number)) {
		bad_frame("a frame had a wrong checksum");
		return NEXT_BAD;
	}
	if (frame->type == REQ_SYNC && len == SYNC_PAYLOAD) {
		conn.next_in = number + 1;
		return NEXT_FRAME;
	}
	if (number != conn.next_in) {
		snprintf(why, sizeof(why), "frame number %u came, %u was due", number, conn.next_in);
		bad_frame(why);
		return NEXT_BAD;
	}
	conn.next_in++;
	return NEXT_FRAME;
}

/* A new client: forget what the former one was owed. */
static void synced(const struct frame *frame)
{
	struct buf b = { 0 };
	struct reader r = reader_of(frame->payload + 16, 4);

	session++;
	conn.out.len = 0;
	conn.next_out = 0;
	if (!(read_u32(&r) & SYNC_KEEP_PEERS))
		peers_reset();
	buf_put(&b, frame->payload, 16);
	buf_u32(&b, AGENT_VERSION);
	buf_u32(&b, (uint32_t)getpid());
	link_send(REP_SYNC, frame->request, b.data, b.len);
	buf_free(&b);
}

static void take_frames(void)
{
	struct frame frame;
	enum next next;

	while (conn.source.fd >= 0 && (next = next_frame(&frame)) != NEXT_NONE) {
		if (next == NEXT_BAD)
			continue;
		if (frame.type == REQ_SYNC)
			synced(&frame);
		else
			dispatch(&frame);
		buf_drop(&conn.in, HEADER + frame.len);
	}
	if (!conn.in.len && conn.in.cap > 1u << 20)
		buf_free(&conn.in);
}

static void link_ready(struct source *source, uint32_t events)
{
	(void)source;
	(void)events;
	link_service();
}

/* Reads until nothing is left: the link is watched edge-triggered. */
void link_service(void)
{
	flush();
	while (conn.source.fd >= 0) {
		ssize_t n;

		buf_reserve(&conn.in, 65536);
		n = read(conn.source.fd, conn.in.data + conn.in.len, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			/*
			 * A virtio port reads 0 while no host is connected. The
			 * kernel may tell so after the next client's SYNC was
			 * read and answered, before it learns of that client:
			 * so what waits to be written stays, and the link does
			 * not hunt again. The next SYNC clears both.
			 */
			conn.in.len = 0;
			if (!conn.is_port)
				link_drop();
			return;
		}
		conn.in.len += (size_t)n;
		conn.last_read_ns = now_ns();
		take_frames();
	}
}

/* Gives up on a frame that stopped arriving, so that a SYNC behind it is found. */
int link_timeout_ms(void)
{
	uint64_t now = now_ns();

	if (conn.source.fd < 0)
		return -1;
	if (conn.hunting || !conn.in.len)
		return conn.is_port && (conn.hunting || conn.out.len) ? 100 : -1;
	if (now - conn.last_read_ns >= STUCK_NS) {
		bad_frame("a frame stayed incomplete for one second");
		take_frames();
		return -1;
	}
	return (int)((STUCK_NS - (now - conn.last_read_ns)) / 1000000) + 1;
}
