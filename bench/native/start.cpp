// A dynamically linked C++ program that does nothing, as C++ programs go: libstdc++ is loaded and
// initialised.
#include <iostream>

int main() { return std::cout.good() ? 0 : 1; }
