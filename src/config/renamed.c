/* renamed.c: options that are written by their former name. */
#include "loader.h"

void option_rename(struct config *config, const struct config_type *type, struct node *node)
{
	for (const struct option *o = type->options; o && o->key; o++) {
		struct node *child = o->was ? node_get(node, o->was) : NULL;
		const struct node *other = node_get(node, o->key);

		if (!child)
			continue;
		if (other) {
			diag_error(config->diags, child->key_mark,
				   "%s is the former name of '%s', which is given as well",
				   option_label(config, type, o->was), o->key);
			diag_note(config->diags, other->key_mark, "'%s' is given here", o->key);
			diag_help(config->diags, "keep '%s'", o->key);
			child->bad = node->bad = true;
		} else {
			diag_warning(config->diags, child->key_mark, "%s is now called '%s'",
				     option_label(config, type, o->was), o->key);
			diag_help(config->diags, "write `%s:`; the former name will go away",
				  o->key);
		}
		child->key = (char *)o->key;
	}
}
