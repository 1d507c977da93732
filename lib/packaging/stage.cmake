# SPDX-License-Identifier: MIT
# Run by cpack when all is installed, each package in a folder of its own, and before that is packed: what
# a Debian package has and an installation has not.

# gzip FILE...: small, and without a date.
function(gzip)
	execute_process(COMMAND gzip -9n ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# finish(COMPONENT PACKAGE OVERRIDES)
function(finish component package overrides)
	set(usr ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/${component}/usr)
	configure_file(${CMAKE_CURRENT_LIST_DIR}/changelog ${usr}/share/doc/${package}/changelog.Debian COPYONLY)
	gzip(${usr}/share/doc/${package}/changelog.Debian)
	file(GLOB pages ${usr}/share/man/man[1-9]/*.[1-9])
	if(pages)
		gzip(${pages})
	endif()
	configure_file(${CMAKE_CURRENT_LIST_DIR}/${overrides} ${usr}/share/lintian/overrides/${package} COPYONLY)

	# Where Debian's zsh looks.
	if(EXISTS ${usr}/share/zsh/site-functions)
		file(RENAME ${usr}/share/zsh/site-functions ${usr}/share/zsh/vendor-completions)
	endif()
endfunction()

finish(ublk ublk lintian-overrides)
if(EXISTS ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/rbd)
	finish(rbd ublk-rbd ublk-rbd.lintian-overrides)
endif()
