// Child processes: Windows programs that run in a Bobbin of their own.
#pragma once

#include <string_view>

namespace bobbin::process {

/// What a parent that is Bobbin tells its child by the environment, since execve has no other way to say it;
/// the child takes these out before its guest looks.
inline constexpr std::u16string_view kCommandLineVariable = u"BOBBIN_COMMAND_LINE";  ///< exactly as given
inline constexpr std::u16string_view kExitCodeVariable =
    u"BOBBIN_EXIT_CODE_FD";  ///< where 32 bits are awaited

}  // namespace bobbin::process
