// From merged blocks to rules.
#pragma once

#include "rules/blocks.h"
#include "rules/rules.h"

// Fills `rules` (of Rule) with every rule that has no error; findings go to `diags`.
void rules_build(const Blocks *blocks, const Catalogue *catalogue, GArray *rules, DiagList *diags);
