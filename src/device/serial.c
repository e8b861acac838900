/* serial.c: FIFO, pace, interrupt line and gathered output of a serial port. */
#include "serial.h"

#define MS 1000000ULL

/* The longest pause: for guests that are not slow to read, but slow to come. */
#define PAUSE_MAX (20 * MS)

/* When the lock was taken, try again after so long. */
#define RETRY (10 * MS)

/* So many characters in a row are a log: their writes are gathered from then on. */
#define LOG_SIZE 256U

/* ---- Interrupt line and input ------------------------------------------------------------- */

void serial_irq_set(struct serial *line, bool level)
{
	if (level == line->level)
		return;
	line->level = level;
	device_irq_set(line->dev, line->irq, level);
}

/* The lock may be held by a vCPU that waits for the console's reader. The loop's thread must not
 * wait with it: time limits and the user's commands are there. */
static bool input_ready(void *arg)
{
	struct serial *line = arg;

	if (!device_trylock(line->dev))
		return false;
	line->refill(line->dev);
	device_unlock(line->dev);
	return true;
}

static void pause_over(void *arg)
{
	struct serial *line = arg;

	if (!input_ready(line))
		loop_timer_set(line->dev->host->loop, &line->pause, loop_now() + RETRY);
}

static void wire_ready(void *arg)
{
	struct serial *line = arg;

	device_lock(line->dev);
	line->refill(line->dev);
	device_unlock(line->dev);
}

static bool waits(struct serial *line)
{
	return line->wire ? wire_has_input(line->wire)
			  : device_input_waits(line->dev, &line->input);
}

void serial_wake(struct serial *line)
{
	if (!line->wire)
		device_input_wake(line->dev, &line->input, input_ready, line);
}

/* ---- Receiver ---------------------------------------------------------------------------- */

/* Whether the line may bring characters now to a guest that takes interrupts; if only later, it
 * sees to that. A guest that was idle for as long as its last burst has had its pause. */
static bool may_interrupt(struct serial *line)
{
	uint64_t now = loop_now(), burst = line->drained - line->burst;

	if (line->rx_len)
		return false;
	if (burst > PAUSE_MAX)
		burst = PAUSE_MAX;
	if (now - line->drained >= burst) {
		line->burst = line->drained = now;
		return true;
	}
	return burst < MS ||
	       loop_timer_set(line->dev->host->loop, &line->pause, line->drained + burst) != 0;
}

unsigned serial_room(struct serial *line, unsigned size, bool interrupts)
{
	if (line->rx_len >= size || !waits(line))
		return 0;
	if (interrupts && !may_interrupt(line))
		return 0;
	return size - line->rx_len;
}

int serial_get(struct serial *line)
{
	uint8_t data;

	if (line->wire)
		return wire_read(line->wire, &data, 1) ? data : -1;
	return device_input_get(line->dev, &line->input);
}

void serial_drained(struct serial *line)
{
	line->drained = loop_now();
}

uint16_t *serial_at(struct serial *line, unsigned i)
{
	return &line->rx[(line->rx_head + i) % SERIAL_FIFO_MAX];
}

void serial_push(struct serial *line, uint16_t entry)
{
	*serial_at(line, line->rx_len++) = entry;
}

uint16_t serial_pop(struct serial *line)
{
	uint16_t entry = *serial_at(line, 0);

	line->rx_head = (line->rx_head + 1) % SERIAL_FIFO_MAX;
	line->rx_len--;
	return entry;
}

/* ---- Transmitter ------------------------------------------------------------------------- */

void serial_send(struct serial *line, uint8_t data)
{
	if (line->wire)
		wire_put(line->wire, &data, 1);
	else
		console_write(line->dev->host->console, &data, 1);
	device_said(line->dev, 0, !line->wire, &data, 1);
}

static void gather(struct serial *line, bool on)
{
	struct device *dev = line->dev;
	unsigned claim = (unsigned)line->registers;

	line->gathered = on;
	dev->host->coalesce(dev->host, dev, claim, 0, dev->row->claims[claim].width, on);
}

void serial_wrote(struct serial *line, bool character, bool waits)
{
	if (waits)
		line->sent = 0;
	else if (character)
		line->sent++;
	if (line->gathered ? !waits : line->sent < line->log_size)
		return;
	if (line->gathered && line->log_size < 1U << 30)
		line->log_size *= 2;
	line->sent = 0;
	gather(line, !line->gathered);
}

/* ---- Life -------------------------------------------------------------------------------- */

void serial_reset(struct serial *line)
{
	if (line->gathered)
		gather(line, false);
	line->log_size = LOG_SIZE;
	line->sent = 0;
	line->rx_len = 0;
	line->burst = line->drained = 0;
}

int serial_init(struct serial *line, struct device *dev, int registers,
		const struct wire_config *to, void (*refill)(struct device *dev), struct err *err)
{
	int ret = 0;

	*line = (struct serial){
		.dev = dev,
		.refill = refill,
		.registers = registers,
		.irq = device_claim(dev, "interrupt"),
		.pause = { .fn = pause_over, .arg = line },
	};
	device_input_init(dev, &line->input);
	if (wire_configured(to))
		ret = wire_new(&line->wire, to, dev->plan->label, err);
	if (ret)
		return ret;
	dev->row->reset(dev);
	if (line->wire)
		ret = device_line(dev, 0, line->wire);
	if (line->wire && !ret)
		ret = wire_listen(line->wire, wire_ready, line);
	return ret ? err_errno(err, -ret, STATUS_OSERR, "%s", dev->plan->label) : 0;
}

void serial_destroy(struct serial *line)
{
	loop_timer_clear(line->dev->host->loop, &line->pause);
	wire_free(line->wire);
}
