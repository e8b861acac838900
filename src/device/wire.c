/* wire.c: the option `to`: the host's end of a device's line. */
#include <string.h>

#include <vibevmm/device.h>
#include <vibevmm/unixsock.h>

static const struct option options[] = {
	OPTION(struct wire_config, file, OPTION_PATH, .made = true,
	       .doc = "Log file that what the guest writes is appended to; it never makes the "
		      "guest wait: what the disk can't take in time is dropped and counted"),
	OPTION(struct wire_config, limit, OPTION_SIZE, .min = 4096,
	       .doc = "Largest size of the file: then it becomes FILE.1, in place of an older one, "
		      "and a new one begins"),
	OPTION(struct wire_config, timestamps, OPTION_BOOL,
	       .doc = "Whether each line of the file begins with the time, in UTC"),
	OPTION(struct wire_config, socket, OPTION_PATH, .made = true,
	       .doc = "Unix socket that programs connect to, one at a time"),
	OPTION(struct wire_config, pty, OPTION_PATH, .made = true,
	       .doc = "Pseudoterminal: the path of a symbolic link to it"),
	{ 0 },
};

const struct config_type device_wire_type = {
	.name = "to",
	.doc = "Where a line of a device leads to",
	.options = options,
	.size = sizeof(struct wire_config),
};

static void check_file_only(const struct node *to, const char *key, struct diags *diags)
{
	const struct node *node = node_given(to, key);

	if (!node)
		return;
	diag_error(diags, node->key_mark, "'%s' is for a file alone", key);
	diag_help(diags, "remove it, or write `file: PATH`");
}

void device_check_socket(const struct node *node, const char *path, size_t behind,
			 struct diags *diags)
{
	size_t max = UNIXSOCK_PATH_MAX - behind;

	if (strlen(path) <= max)
		return;
	diag_error(diags, node->mark,
		   "the path of a socket has at most %zu bytes%s, and '%s' has %zu", max,
		   behind ? " here, where more comes behind it" : "", path, strlen(path));
	diag_help(diags, "choose a shorter one, such as /run/user/1000/vm.sock");
}

void device_wire_check(const struct wire_config *config, const struct node *to,
		       const struct node *input, struct diags *diags)
{
	static const char *const kinds[] = { "file", "socket", "pty" };
	const struct node *first = NULL;

	if (!to || to->is_default)
		return;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct node *node = node_given(to, kinds[i]);

		if (node && first) {
			diag_error(diags, node->key_mark, "'%s' and '%s' exclude each other",
				   first->key, node->key);
			diag_note(diags, first->key_mark, "'%s' is here", first->key);
			diag_help(diags, "remove one of the two: a line has one other end");
		}
		first = first ? first : node;
	}
	if (!first) {
		diag_error(diags, to->key_mark, "'to' has none of file, socket and pty");
		diag_help(diags, "write one of them, as in `to: {file: guest.log}`; without `to` "
				 "the line leads to the VM's standard input and output");
	}
	if (!config->file) {
		check_file_only(to, "limit", diags);
		check_file_only(to, "timestamps", diags);
	}
	if (config->socket)
		device_check_socket(node_given(to, "socket"), config->socket, 0, diags);
	if (input && !input->is_default && !strcmp(input->canon ? input->canon : "", "true")) {
		diag_error(diags, input->key_mark,
			   "'input' asks for the VM's standard input, and 'to' leads elsewhere");
		diag_note(diags, to->key_mark, "'to' is here");
		diag_help(diags, "remove one of the two");
	}
}
