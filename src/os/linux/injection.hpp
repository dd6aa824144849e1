// Shared by the files of os/linux: whether this call is the one that a test asked to fail.
#pragma once

namespace bobbin::os {

[[nodiscard]] bool injected_failure() noexcept;

}  // namespace bobbin::os
