# Runs every test under libleak, with a verdict for each: include(LeakCheck.cmake) behind project(), then
#     cmake -B build -DLEAK_CHECK=ON && cmake --build build && ctest --test-dir build
# A test that loses memory fails with status 23; its traces and reports are in build/leaks.
option(LEAK_CHECK "Run the tests under libleak" OFF)
if(LEAK_CHECK)
    find_program(LEAK_ANALYZE leak-analyze REQUIRED)
    set(leak_check ${LEAK_ANALYZE} run --quiet --fail-on definite,leak,wrong-free
        --output-dir ${CMAKE_BINARY_DIR}/leaks --)
    if(CMAKE_VERSION VERSION_GREATER_EQUAL 3.29)
        set(CMAKE_TEST_LAUNCHER ${leak_check})
    else()
        # What launched tests before, also where nothing is compiled for another machine.
        set(CMAKE_CROSSCOMPILING_EMULATOR ${leak_check})
    endif()
endif()
