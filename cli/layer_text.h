/* SPDX-License-Identifier: MIT */
/* Layers as they are typed and shown: "NAME,KEY=VALUE,KEY=VALUE". A comma of a value is written twice. */
#pragma once

#include "base/error.h"
#include "layer/layer.h"
#include "offer.h"

/* Adds the layer that @text names to @layers. Return: 0, -EINVAL with a message, -ENOMEM. */
int ub_layer_read(const char *text, struct ub_layer_list *layers, struct ub_error *err);

/* One of them, with what is not its default. Return: text to be freed, or NULL without memory. */
char *ub_layer_text(const struct ub_layer_asked *layer);

/* All of them, outermost first, with a blank between. */
char *ub_layers_text(const struct ub_layer_list *layers);

/* Makes names of files absolute; @may: else one that is not is an error, with a message.
 * Return: 0 or a negative errno. */
int ub_layers_resolve(struct ub_layer_list *layers, bool may, struct ub_error *err);

/* Completes a part of the text. */
void ub_offer_layers(const struct ub_completing *c);
