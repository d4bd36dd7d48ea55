/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold:
 *  1. Only what is in memory already as part of the tarball is read, but for a
 *     page here and there that the kernel took in between.
 *  2. Nobody's memory is taken: the work ends when little is free.
 *  3. Whoever reads a page that is being copied waits for it, so pieces are
 *     small and the thread's priority is not the lowest.
 *  4. An image that is unmounted meanwhile is let go of at once.
 *  5. The mount itself and the first reads have the processors to themselves.
 */
#include "volume/warmer.h"

#include "format/erofs-reader.h"
#include "util/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>

/* Smaller files cost more to open than they gain. */
#define FILE_MIN ((uint64_t)256 << 10)
/* A walk through an index with less data per inode does not pay either. */
#define BYTES_PER_INODE_MIN ((uint64_t)16 << 10)
/* That of a huge page on most machines. */
#define PIECE ((uint64_t)2 << 20)
#define NICE 5
/* Part of all memory that is left free. */
#define FREE_PART 8
#define QUEUE_MAX 64
/* After the mount. */
#define DELAY_NS 10000000

struct image {
	struct digest tar;
	struct digest object;
	struct timespec due;
};

struct warmer {
	struct cache *cache;
	char *lower_root;
	pthread_t thread;
	bool started;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	atomic_bool stop;
	struct image queue[QUEUE_MAX]; /* a ring */
	size_t first, n;
};

/* One image at work. */
struct work {
	struct warmer *warmer;
	const char *path; /* of the mount */
	int root_fd;
	dev_t device;
	int tar_fd;
	size_t page_size;
	uint8_t *resident; /* a byte for each page of a piece */
};

static bool memory_is_free(void)
{
	struct sysinfo info;

	return sysinfo(&info) == 0 && info.freeram > info.totalram / FREE_PART;
}

static bool is_mounted(const struct work *w)
{
	struct stat st;

	return lstat(w->path, &st) == 0 && st.st_dev == w->device;
}

/* A piece of a file, mapped. mmap wants its offset aligned, which may need one
 * page more. */
struct window {
	void *start;
	size_t size;
	size_t pages;
	size_t found; /* of them in the page cache */
};

static int window_open(const struct work *w, int fd, uint64_t offset,
		       uint64_t length, struct window *ret)
{
	uint64_t skip = offset % w->page_size;
	size_t n = (size_t)((skip + length + w->page_size - 1) / w->page_size);
	struct window new = {.size = n * w->page_size, .pages = n};
	int r = 0;

	new.start = mmap(NULL, new.size, PROT_READ, MAP_SHARED, fd,
			 (off_t)(offset - skip));
	if (new.start == MAP_FAILED)
		return -errno;
	if (mincore(new.start, new.size, w->resident) < 0)
		r = -errno;
	for (size_t i = 0; r == 0 && i < n; i++)
		new.found += w->resident[i] & 1;
	if (r < 0)
		(void)munmap(new.start, new.size);
	else
		*ret = new;
	return r;
}

static void window_close(struct window *window)
{
	(void)munmap(window->start, window->size);
}

/* Whether the tarball has it, all but an eighth. */
static bool is_in_memory(const struct work *w, uint64_t offset, uint64_t length)
{
	struct window tar;

	if (window_open(w, w->tar_fd, offset, length, &tar) < 0)
		return false;
	window_close(&tar);
	return tar.found >= tar.pages - tar.pages / 8;
}

/*
 * Single pages, such as reads at random leave, keep a piece from becoming one
 * large folio, so what was read in places is dropped. A mapping that wants huge
 * pages gets a folio of a whole piece at once, aligned in the file; readahead
 * of a reader in order comes to such folios after megabytes only (6.18).
 */
static int warm_piece(const struct work *w, int fd, uint64_t offset,
		      uint64_t length, bool whole)
{
	struct window here;
	int r = window_open(w, fd, offset, length, &here);

	if (r < 0)
		return r;
	/* Nothing before or behind the piece. */
	(void)madvise(here.start, here.size, MADV_RANDOM);
	if (whole)
		(void)madvise(here.start, here.size, MADV_HUGEPAGE);
	if (here.found && here.found < here.pages)
		(void)posix_fadvise(fd, (off_t)offset, (off_t)length,
				    POSIX_FADV_DONTNEED);
	if (here.found < here.pages &&
	    madvise(here.start, here.size, MADV_POPULATE_READ) < 0)
		r = -errno;
	window_close(&here);
	return r;
}

/* whole: a file without holes. */
static int warm_run(const struct work *w, int fd, uint64_t tar_offset,
		    uint64_t offset, uint64_t length, bool whole)
{
	for (uint64_t done = 0; done < length; done += PIECE) {
		uint64_t n = MIN(length - done, PIECE);

		if (w->warmer->stop || !memory_is_free() || !is_mounted(w))
			return -ECANCELED;
		if (is_in_memory(w, tar_offset + done, n) &&
		    warm_piece(w, fd, offset + done, n, whole) < 0)
			return -ECANCELED;
	}
	return 0;
}

static int warm_file(const struct entry *e, uint64_t nid, void *ctx,
		     struct err *err)
{
	const struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW,
				     .resolve = RESOLVE_BENEATH |
						RESOLVE_NO_SYMLINKS |
						RESOLVE_NO_XDEV};
	uint64_t tar_offset = e->payload;
	struct work *w = ctx;
	_cleanup_close_ int fd = -1;
	int r = 0;

	(void)nid;
	(void)err;
	if (w->warmer->stop)
		return -ECANCELED;
	if (!S_ISREG(e->mode) || e->flags & ENTRY_HARDLINK ||
	    entry_data_size(e) < FILE_MIN)
		return 0;
	/* A path that is too long stays cold. */
	fd = (int)syscall(SYS_openat2, w->root_fd, e->path, &how, sizeof(how));
	if (fd < 0)
		return 0;
	if (!e->sparse)
		return warm_run(w, fd, tar_offset, 0, e->size, true);
	for (size_t i = 0; r == 0 && i < e->n_extents; i++) {
		r = warm_run(w, fd, tar_offset, e->extents[i].offset,
			     e->extents[i].length, false);
		tar_offset += e->extents[i].length;
	}
	return r;
}

static int open_image(struct work *w)
{
	struct stat st, above;

	w->root_fd = open(w->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->root_fd < 0 || fstat(w->root_fd, &st) < 0 ||
	    lstat(w->warmer->lower_root, &above) < 0)
		return -errno;
	w->device = st.st_dev;
	return st.st_dev == above.st_dev ? -ENOENT : 0;
}

static void warm_image(struct warmer *warmer, const struct image *image)
{
	_cleanup_cache_layer_ struct cache_layer layer = CACHE_LAYER_INIT;
	_cleanup_(erofs_reader_freep) struct erofs_reader *reader = NULL;
	_cleanup_free_ uint8_t *resident = NULL;
	_cleanup_free_ char *path = NULL;
	char hex[DIGEST_HEX_SIZE];
	struct work w = {.warmer = warmer,
			 .root_fd = -1,
			 .page_size = (size_t)sysconf(_SC_PAGESIZE)};

	if (asprintf(&path, "%s/%s", warmer->lower_root,
		     digest_hex(&image->object, hex)) < 0)
		return;
	w.path = path;
	resident = malloc(PIECE / w.page_size + 1);
	w.resident = resident;
	if (resident && open_image(&w) == 0 &&
	    cache_layer_open(warmer->cache, &image->tar, &layer, NULL) == 0 &&
	    erofs_reader_open_fd(&reader, layer.index_fd, NULL) == 0 &&
	    layer.tar_size / (erofs_reader_inodes(reader) + 1) >=
		    BYTES_PER_INODE_MIN) {
		w.tar_fd = layer.tar_fd;
		(void)erofs_reader_walk(reader, "", warm_file, &w, NULL);
	}
	closep(&w.root_fd);
}

static struct timespec after_delay(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += DELAY_NS;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

static void *warmer_main(void *ctx)
{
	struct warmer *w = ctx;

	/* On Linux the "process" is the calling thread. */
	(void)setpriority(PRIO_PROCESS, 0, NICE);
	pthread_mutex_lock(&w->lock);
	while (!w->stop) {
		struct image image = w->queue[w->first];

		if (!w->n) {
			pthread_cond_wait(&w->wake, &w->lock);
			continue;
		}
		if (pthread_cond_timedwait(&w->wake, &w->lock, &image.due) !=
		    ETIMEDOUT)
			continue;
		w->first = (w->first + 1) % QUEUE_MAX;
		w->n--;
		pthread_mutex_unlock(&w->lock);
		warm_image(w, &image);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

int warmer_new(struct warmer **ret, struct cache *c, const char *lower_root,
	       struct err *err)
{
	struct warmer *w = calloc(1, sizeof(*w));
	pthread_condattr_t monotonic;

	if (w)
		w->lower_root = strdup(lower_root);
	if (!w || !w->lower_root) {
		free(w);
		return err_oom(err);
	}
	w->cache = c;
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&w->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	*ret = w;
	return 0;
}

struct warmer *warmer_free(struct warmer *w)
{
	if (!w)
		return NULL;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	if (w->started)
		pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w->lower_root);
	free(w);
	return NULL;
}

void warmer_add(struct warmer *w, const struct digest *tar,
		const struct digest *object)
{
	pthread_mutex_lock(&w->lock);
	if (!w->started)
		w->started =
			pthread_create(&w->thread, NULL, warmer_main, w) == 0;
	if (w->started && w->n < QUEUE_MAX) {
		w->queue[(w->first + w->n++) % QUEUE_MAX] = (struct image){
			.tar = *tar, .object = *object, .due = after_delay()};
		pthread_cond_signal(&w->wake);
	}
	pthread_mutex_unlock(&w->lock);
}
