/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Tells the service manager how the daemon is doing: sd_notify(3)'s protocol,
 * one datagram to the socket that NOTIFY_SOCKET names, without its library.
 * Nothing happens where there is no such variable.
 *
 * state is lines like "READY=1" and "STATUS=...". 0 or a negative errno.
 */
int notify(const char *state);
