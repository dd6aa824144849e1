// What an Engine consists of. Private to engine.cpp and invariants.cpp.
#pragma once

#include "abi/status.hpp"
#include "tls/fls.hpp"
#include "tls/slots.hpp"
#include "tls/strategy.hpp"

namespace bobbin::tls {

struct Engine::Impl {
  std::unique_ptr<Threads> threads;
  std::unique_ptr<Strategy> modules;  ///< in place, or by swapping
  Slots slots;
  std::unique_ptr<Fls> fls;
};

}  // namespace bobbin::tls
