# Tests that are scripts: what the tree says about itself, and what an installed Bobbin is to others.
find_package(Python3 REQUIRED COMPONENTS Interpreter)

function(bobbin_check name)
  add_test(NAME check.${name} COMMAND Python3::Interpreter ${ARGN} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(check.${name} PROPERTIES TIMEOUT 120 SKIP_RETURN_CODE 77)
endfunction()

bobbin_check(rooms scripts/check_rooms.py)
bobbin_check(rooms.self_test scripts/check_rooms.py --self-test)
bobbin_check(natives.readme scripts/natives.py --readme)
bobbin_check(natives.covered scripts/natives_covered.py)
bobbin_check(natives.self_test scripts/natives_covered.py --self-test)

if(NOT BOBBIN_SANITIZE)
  bobbin_check(install tests/install_test.py --build ${CMAKE_BINARY_DIR} --cxx ${CMAKE_CXX_COMPILER})
endif()
