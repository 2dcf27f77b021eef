"""What Python imports when it starts: it has processes that tests start use the tests' loop."""

from tests.loops.no_watching import use_where_asked

use_where_asked()
