# SPDX-License-Identifier: MIT
# What lib/packaging/changelog says of the newest release: its version, the package's revision, who
# made it and when. Included when configuring, by cpack and by the target `dist`. Two builds of a
# release are the same byte for byte because this date, not today's, is the only one in them.
#
# Sets UB_RELEASE, UB_RELEASE_REVISION, UB_RELEASE_BY, and SOURCE_DATE_EPOCH in the environment if it
# is not there.

file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/changelog head LIMIT_COUNT 1)
if(NOT head MATCHES "^ublk \\(([^ )-]+)-([0-9]+)\\) ")
	message(FATAL_ERROR "lib/packaging/changelog does not begin with a version: ${head}")
endif()
set(UB_RELEASE ${CMAKE_MATCH_1})
set(UB_RELEASE_REVISION ${CMAKE_MATCH_2})

file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/changelog signature REGEX "^ -- " LIMIT_COUNT 1)
if(NOT signature MATCHES "^ -- (.+ <[^>]+>)  (.+)$")
	message(FATAL_ERROR "lib/packaging/changelog is not signed and dated: ${signature}")
endif()
set(UB_RELEASE_BY ${CMAKE_MATCH_1})
if(NOT DEFINED ENV{SOURCE_DATE_EPOCH})
	execute_process(COMMAND date -u -d "${CMAKE_MATCH_2}" +%s OUTPUT_VARIABLE epoch
		OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
	set(ENV{SOURCE_DATE_EPOCH} ${epoch})
endif()
