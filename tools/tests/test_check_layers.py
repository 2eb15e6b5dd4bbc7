from treecase import TreeCase


class CheckLayers(TreeCase):
    def setUp(self):
        super().setUp()
        self.write("src/base/buf.h", "#pragma once\n#include <glib.h>\n")
        self.write("src/net/http.h", '#include "base/buf.h"\n')
        self.write("src/engine/engine.c", '#include "actionners/actionner.h"\n#include "base/buf.h"\n')
        self.write("src/actionners/actionner.h", "#pragma once\n")
        self.write("src/actionners/actionners.def", "ACTIONNER(kubernetes_terminate)\nACTIONNER(kubernetes_label)\n")
        self.write("src/actionners/pod.h", "#pragma once\n")
        self.write("src/actionners/kubernetes_terminate.c", '#include "actionners/pod.h"\n')

    def judged(self, path, text):
        """What is said of one more file: (status, its output)."""
        self.write(path, text)
        return self.run_tool("check-layers", self.top)

    def test_accepts_what_the_table_allows(self):
        status, out = self.run_tool("check-layers", self.top)
        self.assertEqual(status, 0, out)
        self.assertNotIn("not ok", out)

    def refuses(self, path, text, words):
        status, out = self.judged(path, text)
        self.assertEqual(status, 1, out)
        self.assertIn(f"{path}:1: ", out)
        self.assertIn(words, out)

    def test_refuses_walking_up(self):
        self.refuses("src/base/log.c", '#include "net/http.h"\n', "base may not include")

    def test_refuses_the_engine_to_know_an_actionner(self):
        self.write("src/actionners/kubernetes_label.h", "#pragma once\n")
        self.refuses("src/engine/lane.c", '#include "actionners/kubernetes_label.h"\n', "engine may not include")

    def test_refuses_the_engine_to_know_helpers_of_actionners(self):
        self.refuses("src/engine/lane.c", '#include "actionners/pod.h"\n', "engine may not include")

    def test_refuses_an_actionner_to_know_another(self):
        self.write("src/actionners/kubernetes_terminate.h", "#pragma once\n")
        self.refuses("src/actionners/kubernetes_label.c", '#include "actionners/kubernetes_terminate.h"\n',
                     "nobody else may include it")

    def test_accepts_an_actionner_with_a_header_of_its_own(self):
        self.write("src/actionners/kubernetes_label.h", "#pragma once\n")
        status, out = self.judged("src/actionners/kubernetes_label.c", '#include "actionners/kubernetes_label.h"\n')
        self.assertEqual(status, 0, out)

    def test_refuses_another_folder_to_use_a_private_header(self):
        self.write("src/event/event_private.h", "#pragma once\n")
        self.refuses("src/store/store.c", '#include "event/event_private.h"\n', "is private to event")

    def test_refuses_a_missing_file(self):
        self.refuses("src/net/tls.c", '#include "base/nothing.h"\n', "does not exist")

    def test_refuses_a_c_file(self):
        self.refuses("src/actionners/kubernetes_label.c", '#include "actionners/kubernetes_terminate.c"\n',
                     "compiled, not included")

    def test_refuses_a_bare_name_and_a_way_out(self):
        self.refuses("src/base/log.c", '#include "buf.h"\n', "write")
        self.refuses("src/base/log.c", '#  include "../net/http.h"\n', "write")

    def test_refuses_angle_brackets_around_ours(self):
        self.refuses("src/base/log.c", "#include <net/http.h>\n", "is ours")

    def test_refuses_an_unknown_folder(self):
        status, out = self.judged("src/misc/x.c", "\n")
        self.assertEqual(status, 1)
        self.assertIn("no folder of the table", out)

    def test_an_empty_tree_is_no_success(self):
        self.assertEqual(self.run_tool("check-layers", self.top + "/src/base")[0], 1)
