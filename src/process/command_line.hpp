// Command lines: Windows passes one string, and each program takes it apart by the rules of its C runtime.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bobbin::process {

/// One string that CommandLineToArgvW and every C runtime take apart into exactly `arguments`. The first one
/// is the program's name, for which backslashes and quotes have no special meaning (it must not contain a
/// quote).
[[nodiscard]] std::u16string join_command_line(const std::vector<std::u16string>& arguments);

/// What CommandLineToArgvW makes of a command line.
[[nodiscard]] std::vector<std::u16string> split_command_line(std::u16string_view line);

}  // namespace bobbin::process
