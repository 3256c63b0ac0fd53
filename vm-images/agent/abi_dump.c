// SPDX-License-Identifier: GPL-2.0
/* The only place of the agent that knows the bus: its layout, as this compiler sees it. */
#include <stdio.h>

#include <kdbus.h>

#include "agent.h"

/*
 * Prints {"schema", "bits", "structs": {name: {"size", "fields": {name:
 * {"offset", "size"}}}}, "constants": {name: "decimal"}}. Arrays without a
 * length have size 0; constants are strings, for some do not fit a double.
 */
#define BEGIN(type)	printf("%s\"" #type "\":{\"size\":%zu,\"fields\":{", comma, sizeof(struct type)), comma = ""
#define FIELD(type, field) \
	printf("%s\"" #field "\":{\"offset\":%zu,\"size\":%zu}", comma, \
	       offsetof(struct type, field), sizeof(((struct type *)0)->field)), comma = ","
#define ARRAY(type, field) \
	printf("%s\"" #field "\":{\"offset\":%zu,\"size\":0}", comma, \
	       offsetof(struct type, field)), comma = ","
#define END()		printf("}}"), comma = ","
#define VALUE(name) \
	printf("%s\"" #name "\":\"%llu\"", comma, (unsigned long long)(name)), comma = ","

static void structs(void)
{
	const char *comma = "";

	BEGIN(kdbus_vec);
	FIELD(kdbus_vec, size);
	FIELD(kdbus_vec, address);
	FIELD(kdbus_vec, offset);
	END();

	BEGIN(kdbus_memfd);
	FIELD(kdbus_memfd, start);
	FIELD(kdbus_memfd, size);
	FIELD(kdbus_memfd, fd);
	FIELD(kdbus_memfd, __pad);
	END();

	BEGIN(kdbus_bloom_parameter);
	FIELD(kdbus_bloom_parameter, size);
	FIELD(kdbus_bloom_parameter, n_hash);
	END();

	BEGIN(kdbus_bloom_filter);
	FIELD(kdbus_bloom_filter, generation);
	ARRAY(kdbus_bloom_filter, data);
	END();

	BEGIN(kdbus_name);
	FIELD(kdbus_name, flags);
	ARRAY(kdbus_name, name);
	END();

	BEGIN(kdbus_creds);
	FIELD(kdbus_creds, uid);
	FIELD(kdbus_creds, euid);
	FIELD(kdbus_creds, suid);
	FIELD(kdbus_creds, fsuid);
	FIELD(kdbus_creds, gid);
	FIELD(kdbus_creds, egid);
	FIELD(kdbus_creds, sgid);
	FIELD(kdbus_creds, fsgid);
	END();

	BEGIN(kdbus_pids);
	FIELD(kdbus_pids, pid);
	FIELD(kdbus_pids, tid);
	FIELD(kdbus_pids, ppid);
	END();

	BEGIN(kdbus_caps);
	FIELD(kdbus_caps, last_cap);
	ARRAY(kdbus_caps, caps);
	END();

	BEGIN(kdbus_audit);
	FIELD(kdbus_audit, sessionid);
	FIELD(kdbus_audit, loginuid);
	END();

	BEGIN(kdbus_timestamp);
	FIELD(kdbus_timestamp, seqnum);
	FIELD(kdbus_timestamp, monotonic_ns);
	FIELD(kdbus_timestamp, realtime_ns);
	END();

	BEGIN(kdbus_policy_access);
	FIELD(kdbus_policy_access, type);
	FIELD(kdbus_policy_access, access);
	FIELD(kdbus_policy_access, id);
	END();

	BEGIN(kdbus_notify_id_change);
	FIELD(kdbus_notify_id_change, id);
	FIELD(kdbus_notify_id_change, flags);
	END();

	BEGIN(kdbus_notify_name_change);
	FIELD(kdbus_notify_name_change, old_id);
	FIELD(kdbus_notify_name_change, new_id);
	ARRAY(kdbus_notify_name_change, name);
	END();

	BEGIN(kdbus_item);
	FIELD(kdbus_item, size);
	FIELD(kdbus_item, type);
	ARRAY(kdbus_item, data);
	ARRAY(kdbus_item, data32);
	ARRAY(kdbus_item, data64);
	ARRAY(kdbus_item, str);
	ARRAY(kdbus_item, fds);
	FIELD(kdbus_item, id);
	FIELD(kdbus_item, vec);
	FIELD(kdbus_item, memfd);
	FIELD(kdbus_item, bloom_parameter);
	FIELD(kdbus_item, creds);
	FIELD(kdbus_item, pids);
	FIELD(kdbus_item, audit);
	FIELD(kdbus_item, timestamp);
	FIELD(kdbus_item, policy_access);
	FIELD(kdbus_item, id_change);
	END();

	BEGIN(kdbus_cmd);
	FIELD(kdbus_cmd, size);
	FIELD(kdbus_cmd, flags);
	FIELD(kdbus_cmd, return_flags);
	ARRAY(kdbus_cmd, items);
	END();

	BEGIN(kdbus_cmd_hello);
	FIELD(kdbus_cmd_hello, size);
	FIELD(kdbus_cmd_hello, flags);
	FIELD(kdbus_cmd_hello, return_flags);
	FIELD(kdbus_cmd_hello, attach_flags_send);
	FIELD(kdbus_cmd_hello, attach_flags_recv);
	FIELD(kdbus_cmd_hello, bus_flags);
	FIELD(kdbus_cmd_hello, id);
	FIELD(kdbus_cmd_hello, pool_size);
	FIELD(kdbus_cmd_hello, offset);
	FIELD(kdbus_cmd_hello, items_size);
	FIELD(kdbus_cmd_hello, id128);
	ARRAY(kdbus_cmd_hello, items);
	END();

	BEGIN(kdbus_cmd_free);
	FIELD(kdbus_cmd_free, size);
	FIELD(kdbus_cmd_free, flags);
	FIELD(kdbus_cmd_free, return_flags);
	FIELD(kdbus_cmd_free, offset);
	ARRAY(kdbus_cmd_free, items);
	END();

	BEGIN(kdbus_cmd_info);
	FIELD(kdbus_cmd_info, size);
	FIELD(kdbus_cmd_info, flags);
	FIELD(kdbus_cmd_info, return_flags);
	FIELD(kdbus_cmd_info, id);
	FIELD(kdbus_cmd_info, attach_flags);
	FIELD(kdbus_cmd_info, offset);
	FIELD(kdbus_cmd_info, info_size);
	ARRAY(kdbus_cmd_info, items);
	END();

	BEGIN(kdbus_cmd_list);
	FIELD(kdbus_cmd_list, size);
	FIELD(kdbus_cmd_list, flags);
	FIELD(kdbus_cmd_list, return_flags);
	FIELD(kdbus_cmd_list, offset);
	FIELD(kdbus_cmd_list, list_size);
	ARRAY(kdbus_cmd_list, items);
	END();

	BEGIN(kdbus_msg_info);
	FIELD(kdbus_msg_info, offset);
	FIELD(kdbus_msg_info, msg_size);
	FIELD(kdbus_msg_info, return_flags);
	END();

	BEGIN(kdbus_cmd_send);
	FIELD(kdbus_cmd_send, size);
	FIELD(kdbus_cmd_send, flags);
	FIELD(kdbus_cmd_send, return_flags);
	FIELD(kdbus_cmd_send, msg_address);
	FIELD(kdbus_cmd_send, reply);
	ARRAY(kdbus_cmd_send, items);
	END();

	BEGIN(kdbus_cmd_recv);
	FIELD(kdbus_cmd_recv, size);
	FIELD(kdbus_cmd_recv, flags);
	FIELD(kdbus_cmd_recv, return_flags);
	FIELD(kdbus_cmd_recv, priority);
	FIELD(kdbus_cmd_recv, dropped_msgs);
	FIELD(kdbus_cmd_recv, msg);
	ARRAY(kdbus_cmd_recv, items);
	END();

	BEGIN(kdbus_cmd_match);
	FIELD(kdbus_cmd_match, size);
	FIELD(kdbus_cmd_match, flags);
	FIELD(kdbus_cmd_match, return_flags);
	FIELD(kdbus_cmd_match, cookie);
	ARRAY(kdbus_cmd_match, items);
	END();

	BEGIN(kdbus_msg);
	FIELD(kdbus_msg, size);
	FIELD(kdbus_msg, flags);
	FIELD(kdbus_msg, priority);
	FIELD(kdbus_msg, dst_id);
	FIELD(kdbus_msg, src_id);
	FIELD(kdbus_msg, payload_type);
	FIELD(kdbus_msg, cookie);
	FIELD(kdbus_msg, timeout_ns);
	FIELD(kdbus_msg, cookie_reply);
	ARRAY(kdbus_msg, items);
	END();

	BEGIN(kdbus_info);
	FIELD(kdbus_info, size);
	FIELD(kdbus_info, id);
	FIELD(kdbus_info, flags);
	ARRAY(kdbus_info, items);
	END();
}

static void constants(void)
{
	const char *comma = "";

	VALUE(KDBUS_SRC_ID_KERNEL);
	VALUE(KDBUS_DST_ID_NAME);
	VALUE(KDBUS_DST_ID_BROADCAST);
	VALUE(KDBUS_MATCH_ID_ANY);
	VALUE(KDBUS_FLAG_NEGOTIATE);
	VALUE(KDBUS_CREDS_UNSET);
	VALUE(KDBUS_VEC_OFFSET_ZEROS);
	VALUE(KDBUS_PAYLOAD_KERNEL);
	VALUE(KDBUS_PAYLOAD_DBUS);
	VALUE(_KDBUS_ATTACH_ALL);
	VALUE(_KDBUS_ATTACH_ANY);
	VALUE(KDBUS_ITEM_HEADER_SIZE);
	VALUE(KDBUS_IOCTL_MAGIC);
	VALUE(KDBUS_CMD_BUS_MAKE);
	VALUE(KDBUS_CMD_ENDPOINT_MAKE);
	VALUE(KDBUS_CMD_ENDPOINT_UPDATE);
	VALUE(KDBUS_CMD_HELLO);
	VALUE(KDBUS_CMD_UPDATE);
	VALUE(KDBUS_CMD_BYEBYE);
	VALUE(KDBUS_CMD_FREE);
	VALUE(KDBUS_CMD_CONN_INFO);
	VALUE(KDBUS_CMD_BUS_CREATOR_INFO);
	VALUE(KDBUS_CMD_LIST);
	VALUE(KDBUS_CMD_SEND);
	VALUE(KDBUS_CMD_RECV);
	VALUE(KDBUS_CMD_NAME_ACQUIRE);
	VALUE(KDBUS_CMD_NAME_RELEASE);
	VALUE(KDBUS_CMD_MATCH_ADD);
	VALUE(KDBUS_CMD_MATCH_REMOVE);
	VALUE(KDBUS_MAKE_ACCESS_GROUP);
	VALUE(KDBUS_MAKE_ACCESS_WORLD);
	VALUE(KDBUS_HELLO_ACCEPT_FD);
	VALUE(KDBUS_HELLO_ACTIVATOR);
	VALUE(KDBUS_HELLO_POLICY_HOLDER);
	VALUE(KDBUS_HELLO_MONITOR);
	VALUE(KDBUS_LIST_UNIQUE);
	VALUE(KDBUS_LIST_NAMES);
	VALUE(KDBUS_LIST_ACTIVATORS);
	VALUE(KDBUS_LIST_QUEUED);
	VALUE(KDBUS_NAME_REPLACE_EXISTING);
	VALUE(KDBUS_NAME_ALLOW_REPLACEMENT);
	VALUE(KDBUS_NAME_QUEUE);
	VALUE(KDBUS_NAME_IN_QUEUE);
	VALUE(KDBUS_NAME_ACTIVATOR);
	VALUE(KDBUS_NAME_PRIMARY);
	VALUE(KDBUS_NAME_ACQUIRED);
	VALUE(KDBUS_SEND_SYNC_REPLY);
	VALUE(KDBUS_RECV_PEEK);
	VALUE(KDBUS_RECV_DROP);
	VALUE(KDBUS_RECV_USE_PRIORITY);
	VALUE(KDBUS_RECV_RETURN_INCOMPLETE_FDS);
	VALUE(KDBUS_RECV_RETURN_DROPPED_MSGS);
	VALUE(KDBUS_MATCH_REPLACE);
	VALUE(KDBUS_MSG_EXPECT_REPLY);
	VALUE(KDBUS_MSG_NO_AUTO_START);
	VALUE(KDBUS_MSG_SIGNAL);
	VALUE(KDBUS_ATTACH_TIMESTAMP);
	VALUE(KDBUS_ATTACH_CREDS);
	VALUE(KDBUS_ATTACH_PIDS);
	VALUE(KDBUS_ATTACH_AUXGROUPS);
	VALUE(KDBUS_ATTACH_NAMES);
	VALUE(KDBUS_ATTACH_TID_COMM);
	VALUE(KDBUS_ATTACH_PID_COMM);
	VALUE(KDBUS_ATTACH_EXE);
	VALUE(KDBUS_ATTACH_CMDLINE);
	VALUE(KDBUS_ATTACH_CGROUP);
	VALUE(KDBUS_ATTACH_CAPS);
	VALUE(KDBUS_ATTACH_SECLABEL);
	VALUE(KDBUS_ATTACH_AUDIT);
	VALUE(KDBUS_ATTACH_CONN_DESCRIPTION);
	VALUE(KDBUS_POLICY_ACCESS_NULL);
	VALUE(KDBUS_POLICY_ACCESS_USER);
	VALUE(KDBUS_POLICY_ACCESS_GROUP);
	VALUE(KDBUS_POLICY_ACCESS_WORLD);
	VALUE(KDBUS_POLICY_SEE);
	VALUE(KDBUS_POLICY_TALK);
	VALUE(KDBUS_POLICY_OWN);
	VALUE(_KDBUS_ITEM_NULL);
	VALUE(_KDBUS_ITEM_USER_BASE);
	VALUE(KDBUS_ITEM_NEGOTIATE);
	VALUE(KDBUS_ITEM_PAYLOAD_VEC);
	VALUE(KDBUS_ITEM_PAYLOAD_OFF);
	VALUE(KDBUS_ITEM_PAYLOAD_MEMFD);
	VALUE(KDBUS_ITEM_FDS);
	VALUE(KDBUS_ITEM_CANCEL_FD);
	VALUE(KDBUS_ITEM_BLOOM_PARAMETER);
	VALUE(KDBUS_ITEM_BLOOM_FILTER);
	VALUE(KDBUS_ITEM_BLOOM_MASK);
	VALUE(KDBUS_ITEM_DST_NAME);
	VALUE(KDBUS_ITEM_MAKE_NAME);
	VALUE(KDBUS_ITEM_ATTACH_FLAGS_SEND);
	VALUE(KDBUS_ITEM_ATTACH_FLAGS_RECV);
	VALUE(KDBUS_ITEM_ID);
	VALUE(KDBUS_ITEM_NAME);
	VALUE(KDBUS_ITEM_DST_ID);
	VALUE(_KDBUS_ITEM_ATTACH_BASE);
	VALUE(KDBUS_ITEM_TIMESTAMP);
	VALUE(KDBUS_ITEM_CREDS);
	VALUE(KDBUS_ITEM_PIDS);
	VALUE(KDBUS_ITEM_AUXGROUPS);
	VALUE(KDBUS_ITEM_OWNED_NAME);
	VALUE(KDBUS_ITEM_TID_COMM);
	VALUE(KDBUS_ITEM_PID_COMM);
	VALUE(KDBUS_ITEM_EXE);
	VALUE(KDBUS_ITEM_CMDLINE);
	VALUE(KDBUS_ITEM_CGROUP);
	VALUE(KDBUS_ITEM_CAPS);
	VALUE(KDBUS_ITEM_SECLABEL);
	VALUE(KDBUS_ITEM_AUDIT);
	VALUE(KDBUS_ITEM_CONN_DESCRIPTION);
	VALUE(_KDBUS_ITEM_POLICY_BASE);
	VALUE(KDBUS_ITEM_POLICY_ACCESS);
	VALUE(_KDBUS_ITEM_KERNEL_BASE);
	VALUE(KDBUS_ITEM_NAME_ADD);
	VALUE(KDBUS_ITEM_NAME_REMOVE);
	VALUE(KDBUS_ITEM_NAME_CHANGE);
	VALUE(KDBUS_ITEM_ID_ADD);
	VALUE(KDBUS_ITEM_ID_REMOVE);
	VALUE(KDBUS_ITEM_REPLY_TIMEOUT);
	VALUE(KDBUS_ITEM_REPLY_DEAD);
}

int abi_dump(void)
{
	printf("{\"schema\":\"buslab.abi/1\",\"bits\":%zu,\"structs\":{", 8 * sizeof(long));
	structs();
	printf("},\"constants\":{");
	constants();
	printf("}}\n");
	return fflush(stdout) || ferror(stdout);
}
