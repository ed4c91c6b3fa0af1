package identity

import "strings"

// words returns the 256 words of a [Phrase]: everyday things, of which no two are
// easily taken for each other when heard.
func words() []string { return strings.Fields(wordList) }

const wordList = `
able acid acorn actor adult agent album alpine amber anchor ankle antler apple apron arch arrow
atlas attic autumn badge bagel baker balcony bamboo banana banjo barrel basil basket beach beacon bean
beaver bench berry bicycle biscuit blanket blossom bottle bracket branch bread brick bridge bronze broom bucket
butter button cabin cactus camel camera candle canoe canvas captain carbon carpet carrot castle cattle cedar
cellar cement cherry chimney circus citrus clarinet clock clover coconut comet compass copper coral cotton cousin
cradle crayon cricket crystal curtain cushion cypress daisy dancer desert diamond dinner doctor dolphin donkey dragon
drummer eagle easel echo elbow eleven ember engine evening fabric falcon farmer feather fiddle finger flamingo
flute forest fossil fountain fox galaxy garden garlic gecko ginger giraffe glacier glove goblet gorilla granite
grape guitar hammer harbor harvest hazel helmet hermit hockey honey horizon hotel hunter iceberg igloo indigo
island ivory jacket jaguar jasmine jelly jigsaw jungle kettle kitchen kiwi koala ladder lagoon lantern laundry
lemon leopard lettuce lilac lizard lobster locket lumber magnet mango maple marble meadow midnight mirror mitten
monkey mosaic mountain muffin museum mustard napkin needle nickel noodle nutmeg oasis ocean octopus olive onion
orchid otter oven owl oyster paddle palace panda paper parrot peanut pebble pelican pencil pepper piano
picnic pigeon pillow pirate planet plum pocket pumpkin puzzle quartz rabbit radish raven ribbon river robin
rocket saddle salmon sandal sapphire saturn scarf school shadow silver spider spoon squirrel sugar sunset teapot
thunder tiger tomato tractor trumpet tulip tunnel turtle umbrella valley velvet violin walnut whale willow zebra
`
