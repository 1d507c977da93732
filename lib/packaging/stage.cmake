# SPDX-License-Identifier: MIT
# Run by cpack when all is installed, each package in a folder of its own, and before that is packed: what
# a Debian package has and an installation has not.

# gzip FILE...: small, and without a date.
function(gzip)
	execute_process(COMMAND gzip -9n ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# copy(NAME TO): for all to read, whatever the source folder's own rights are.
function(copy name to)
	configure_file(${CMAKE_CURRENT_LIST_DIR}/${name} ${to} COPYONLY NO_SOURCE_PERMISSIONS)
endfunction()

# finish(COMPONENT PACKAGE OVERRIDES)
function(finish component package overrides)
	set(usr ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/${component}/usr)
	copy(changelog ${usr}/share/doc/${package}/changelog.Debian)
	gzip(${usr}/share/doc/${package}/changelog.Debian)
	file(GLOB pages ${usr}/share/man/man[1-9]/*.[1-9])
	if(pages)
		gzip(${pages})
	endif()
	copy(${overrides} ${usr}/share/lintian/overrides/${package})

	# Where Debian's zsh looks.
	if(EXISTS ${usr}/share/zsh/site-functions)
		file(RENAME ${usr}/share/zsh/site-functions ${usr}/share/zsh/vendor-completions)
	endif()
endfunction()

finish(ublk ublk lintian-overrides)
if(EXISTS ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/rbd)
	finish(rbd ublk-rbd ublk-rbd.lintian-overrides)
endif()
