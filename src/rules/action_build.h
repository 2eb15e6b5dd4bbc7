// From a merged action block to an action of a rule.
#pragma once

#include "rules/rule_set.h"
#include "yaml/yaml.h"

// False when there was any error (all are in `diags`); `action` is then left zeroed.
bool action_build(const YamlNode *node, const Catalogue *catalogue, RuleAction *action, DiagList *diags);

// The plug-ins that a list names, each once: NULL-terminated, g_free. NULL when one of them is unknown.
const PluginInfo **plugins_build(const YamlNode *list, const Catalogue *catalogue, PluginKind kind, DiagList *diags);
