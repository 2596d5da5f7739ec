"""`weir bench`: loads, faults and a fake provider around real workers; all counts come from outside them."""
