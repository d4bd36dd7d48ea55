/* SPDX-License-Identifier: Apache-2.0 */
/* The gate that the collector of garbage waits at. */
#include "util/cleanup.h"
#include "util/gate.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include <cmocka.h>

static int give_up(void *ctx)
{
	int *asked = ctx;

	++*asked;
	return -ECANCELED;
}

static void test_an_empty_gate_is_not_waited_for(void **state)
{
	struct gate g;

	(void)state;
	gate_init(&g);
	for (int i = 0; i < 5; i++)
		assert_int_equal(gate_wait(&g, NULL, NULL), 0);
	gate_release(&g);
}

static void test_waiting_ends_when_stop_says_so(void **state)
{
	unsigned int side;
	struct gate g;
	int asked = 0;

	(void)state;
	gate_init(&g);
	side = gate_enter(&g);
	assert_int_equal(gate_wait(&g, give_up, &asked), -ECANCELED);
	assert_int_equal(asked, 1);
	gate_leave(&g, side);
	assert_int_equal(gate_wait(&g, NULL, NULL), 0);
	gate_release(&g);
}

static void test_a_wait_that_was_given_up_misses_nobody_later(void **state)
{
	unsigned int first, second;
	struct gate g;
	int asked = 0;

	(void)state;
	gate_init(&g);
	first = gate_enter(&g);
	assert_int_equal(gate_wait(&g, give_up, &asked), -ECANCELED);
	second = gate_enter(&g);
	/* Of either one alone the next wait is for. */
	assert_int_equal(gate_wait(&g, give_up, &asked), -ECANCELED);
	gate_leave(&g, first);
	assert_int_equal(gate_wait(&g, give_up, &asked), -ECANCELED);
	gate_leave(&g, second);
	assert_int_equal(gate_wait(&g, NULL, NULL), 0);
	assert_int_equal(asked, 3);
	gate_release(&g);
}

struct late {
	struct gate gate;
	unsigned int side; /* of one who entered during the wait */
};

static int leave_first(void *ctx)
{
	struct late *l = ctx;

	/* Sides are 0 and 1: whoever was inside is not on that of l. */
	l->side = gate_enter(&l->gate);
	gate_leave(&l->gate, !l->side);
	return 0;
}

static void test_who_enters_later_is_not_waited_for(void **state)
{
	struct late l = {0};

	(void)state;
	gate_init(&l.gate);
	(void)gate_enter(&l.gate);
	assert_int_equal(gate_wait(&l.gate, leave_first, &l), 0);
	gate_leave(&l.gate, l.side);
	gate_release(&l.gate);
}

#define THREADS 8
#define ROUNDS 300

/* What is taken out of the index is not used by anybody after the wait. */
struct shared {
	struct gate gate;
	_Atomic(atomic_int *) published;
	atomic_bool stop;
	atomic_int bad;
};

static void *use(void *ctx)
{
	struct shared *s = ctx;

	while (!s->stop) {
		unsigned int side = gate_enter(&s->gate);
		atomic_int *p = s->published;

		for (int i = 0; i < 50; i++)
			if (*p != 1)
				s->bad++;
		gate_leave(&s->gate, side);
	}
	return NULL;
}

static void test_nobody_works_with_what_was_taken_out(void **state)
{
	static atomic_int items[ROUNDS + 1];
	pthread_t threads[THREADS];
	struct shared s = {0};

	(void)state;
	gate_init(&s.gate);
	for (int i = 0; i <= ROUNDS; i++)
		items[i] = 1;
	s.published = &items[0];
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, use, &s), 0);
	for (int i = 0; i < ROUNDS; i++) {
		s.published = &items[i + 1];
		assert_int_equal(gate_wait(&s.gate, NULL, NULL), 0);
		items[i] = 0;
	}
	s.stop = true;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(s.bad, 0);
	gate_release(&s.gate);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_empty_gate_is_not_waited_for),
		cmocka_unit_test(test_waiting_ends_when_stop_says_so),
		cmocka_unit_test(
			test_a_wait_that_was_given_up_misses_nobody_later),
		cmocka_unit_test(test_who_enters_later_is_not_waited_for),
		cmocka_unit_test(test_nobody_works_with_what_was_taken_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
