// `bobbin inspect FILE [--json]`.
#pragma once

#include <string>

namespace bobbin::tools {

/// Prints what is in a Windows file, for people or (json) for scripts; colour makes headings bold. Hands back
/// the command's exit code: 0; 127 if there is no such file, 126 if it is not one we load, 125 for anything
/// else, with one line on stderr.
int run_inspect(const std::string& path, bool json, bool colour);

}  // namespace bobbin::tools
