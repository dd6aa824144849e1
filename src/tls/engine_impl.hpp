// What an Engine consists of. Private to engine.cpp and invariants.cpp.
#pragma once

#include "abi/status.hpp"
#include "tls/fls.hpp"
#include "tls/in_place.hpp"
#include "tls/slots.hpp"

namespace bobbin::tls {

struct Engine::Impl {
  std::unique_ptr<Threads> threads;
  std::unique_ptr<InPlace> modules;
  Slots slots;
  std::unique_ptr<Fls> fls;
};

}  // namespace bobbin::tls
