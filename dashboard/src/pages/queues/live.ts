import { createContext, useContext } from 'react'
import type { Queue } from './plan'

/** The queues as they are now, by name: what the drawing shows changes each second, where it stands does not. */
export const Queues = createContext<ReadonlyMap<string, Queue>>(new Map())

export const useQueue = (name: string): Queue | undefined => useContext(Queues).get(name)
